variable "project" {
  description = "Id of the Google Cloud project."
  type        = string
}

variable "region" {
  description = "Where the address and the buckets are."
  type        = string
  default     = "europe-west1"
}

variable "zone" {
  description = "Where the machine is, in the region."
  type        = string
  default     = "europe-west1-b"
}

variable "name" {
  description = "What everything here is called."
  type        = string
  default     = "segstudio"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,20}[a-z0-9]$", var.name))
    error_message = "The name must have 6 to 22 lower-case letters, digits and hyphens, a letter first."
  }
}

variable "machine_type" {
  description = "Type of the machine; 16 GB of memory for Label Studio, PostgreSQL and both backends."
  type        = string
  default     = "e2-standard-4"
}

variable "disk_gb" {
  description = "Size of the disk, in GB: the images with torch, the database, uploads and cached pictures."
  type        = number
  default     = 100

  validation {
    condition     = var.disk_gb >= 50
    error_message = "The disk must have at least 50 GB: the images alone take a good part of it while they are built."
  }
}

variable "gpu" {
  description = "Type of a GPU that fits the machine type and the zone, such as nvidia-tesla-t4 on n1-standard-8 or nvidia-l4 on g2-standard-8; empty: none."
  type        = string
  default     = ""
}

variable "image" {
  description = "Boot image of the first start; empty: Debian 13, or with a GPU Google's image that has NVIDIA's driver, Docker and container toolkit."
  type        = string
  default     = ""
}

variable "domain" {
  description = "Name whose DNS entry points to the address, for which Caddy gets a certificate from Let's Encrypt; empty: the address itself."
  type        = string
  default     = ""
}

variable "allowed_ranges" {
  description = "Who may reach the labeling page."
  type        = list(string)
  default     = ["0.0.0.0/0"]
}

variable "images_bucket" {
  description = "Bucket of the photographs; empty: PROJECT-NAME-images."
  type        = string
  default     = ""
}

variable "labels_bucket" {
  description = "Bucket of the annotations, and of the release; empty: PROJECT-NAME-labels."
  type        = string
  default     = ""
}

variable "release" {
  description = "The release: an archive as git archive makes it, on this machine."
  type        = string
  default     = "release.tar.gz"
}

variable "settings" {
  description = "Further lines of the stack's .env, none of them secret: { SAM_MODEL = \"vit_b\" }."
  type        = map(string)
  default     = {}
}
