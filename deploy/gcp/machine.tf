locals {
  host = var.domain != "" ? var.domain : google_compute_address.this.address

  # Docker in Debian's own packages begins with 13.
  default_image = var.gpu == "" ? "debian-cloud/debian-13" : "deeplearning-platform-release/common-cu129-ubuntu-2204-nvidia-580"
}

resource "google_compute_instance" "this" {
  name                      = var.name
  machine_type              = var.machine_type
  allow_stopping_for_update = true

  boot_disk {
    initialize_params {
      image = var.image != "" ? var.image : local.default_image
      size  = var.disk_gb
      type  = "pd-balanced"
    }
  }

  network_interface {
    subnetwork = google_compute_subnetwork.this.id
    access_config {
      nat_ip = google_compute_address.this.address
    }
  }

  dynamic "guest_accelerator" {
    for_each = var.gpu == "" ? [] : [var.gpu]
    content {
      type  = guest_accelerator.value
      count = 1
    }
  }

  scheduling {
    on_host_maintenance = var.gpu == "" ? "MIGRATE" : "TERMINATE"
    automatic_restart   = true
  }

  shielded_instance_config {
    enable_secure_boot          = var.gpu == ""
    enable_vtpm                 = true
    enable_integrity_monitoring = true
  }

  service_account {
    email  = google_service_account.this["machine"].email
    scopes = ["cloud-platform"]
  }

  # As metadata and not as metadata_startup_script: a changed one shall run at the next boot, not make the
  # machine, and the database on its disk, again.
  metadata = merge({
    startup-script               = file("${path.module}/startup.sh")
    segstudio-host               = local.host
    segstudio-release            = "${google_storage_bucket_object.release.bucket}/${google_storage_bucket_object.release.name}"
    segstudio-credentials-secret = google_secret_manager_secret.this["backend"].id
    segstudio-password-secret    = google_secret_manager_secret.this["password"].id
    segstudio-gpu                = var.gpu == "" ? "none" : var.gpu
    segstudio-settings           = join("\n", concat(["# Of terraform.tfvars"], [for name, value in var.settings : "${name}=${value}"]))
    block-project-ssh-keys       = "true"
  }, var.gpu == "" ? {} : { install-nvidia-driver = "True" })

  lifecycle {
    # A newer image of the same family would also recreate the machine.
    ignore_changes = [boot_disk[0].initialize_params[0].image]
  }

  depends_on = [
    google_storage_bucket_iam_member.machine,
    google_secret_manager_secret_iam_member.reads,
    google_secret_manager_secret_iam_member.adds,
  ]
}
