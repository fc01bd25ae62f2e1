terraform {
  required_version = ">= 1.5"
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 6.0, < 8.0"
    }
  }
}

provider "google" {
  project = var.project
  region  = var.region
  zone    = var.zone
}

resource "google_project_service" "api" {
  for_each           = toset(["compute", "iam", "secretmanager", "storage"])
  service            = "${each.key}.googleapis.com"
  disable_on_destroy = false
}
