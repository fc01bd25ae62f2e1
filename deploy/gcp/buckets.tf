locals {
  buckets = {
    images = var.images_bucket != "" ? var.images_bucket : "${var.project}-${var.name}-images"
    labels = var.labels_bucket != "" ? var.labels_bucket : "${var.project}-${var.name}-labels"
  }
}

resource "google_storage_bucket" "this" {
  for_each                    = local.buckets
  name                        = each.value
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = false
  depends_on                  = [google_project_service.api]

  versioning {
    enabled = true
  }

  # What was overwritten or deleted is kept for a quarter of a year.
  lifecycle_rule {
    condition {
      days_since_noncurrent_time = 90
    }
    action {
      type = "Delete"
    }
  }

  # The rule of `segstudio bucket setup`: the labeling page may show the images.
  cors {
    origin          = ["https://${local.host}"]
    method          = ["GET"]
    response_header = ["Content-Type", "Access-Control-Allow-Origin"]
    max_age_seconds = 3600
  }
}

# The machine fetches it with its own identity; a name of its content, so that a new one is a new object.
resource "google_storage_bucket_object" "release" {
  bucket = google_storage_bucket.this["labels"].name
  name   = "releases/${filesha256(var.release)}.tar.gz"
  source = var.release
}
