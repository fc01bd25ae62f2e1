# What the machine may do: objects in the two buckets, and its two secrets. Nothing in the project.
resource "google_service_account" "this" {
  account_id   = var.name
  display_name = "segstudio: Label Studio and its backends"
  depends_on   = [google_project_service.api]
}

locals {
  # Label Studio looks at a bucket before it lists it, which is no object right: hence the second role.
  bucket_roles = ["roles/storage.objectUser", "roles/storage.legacyBucketReader"]
}

resource "google_storage_bucket_iam_member" "this" {
  for_each = { for pair in setproduct(keys(local.buckets), local.bucket_roles) : join(" ", pair) => pair }
  bucket   = google_storage_bucket.this[each.value[0]].name
  role     = each.value[1]
  member   = google_service_account.this.member
}

# The key that Label Studio signs addresses of images with; put in by hand, so that it is in no state file.
resource "google_secret_manager_secret" "credentials" {
  secret_id  = "${var.name}-credentials"
  depends_on = [google_project_service.api]

  replication {
    auto {}
  }
}

# The password of the labeling page; the machine makes it and puts it here.
resource "google_secret_manager_secret" "password" {
  secret_id  = "${var.name}-password"
  depends_on = [google_project_service.api]

  replication {
    auto {}
  }
}

resource "google_secret_manager_secret_iam_member" "reads_credentials" {
  secret_id = google_secret_manager_secret.credentials.id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.this.member
}

resource "google_secret_manager_secret_iam_member" "keeps_password" {
  for_each  = toset(["roles/secretmanager.secretAccessor", "roles/secretmanager.secretVersionAdder"])
  secret_id = google_secret_manager_secret.password.id
  role      = each.key
  member    = google_service_account.this.member
}
