# Who may do what; nothing is granted on the project. The machine is "machine". The other two have keys, which are put
# into Secret Manager by hand, so that they are in no state file: the backends have the key of "backend" in their
# environment; Label Studio's bucket storages and the command line have that of "storage".
resource "google_service_account" "this" {
  for_each     = { machine = var.name, backend = "${var.name}-backend", storage = "${var.name}-storage" }
  account_id   = each.value
  display_name = "segstudio: ${each.key}"
  depends_on   = [google_project_service.api]
}

resource "google_storage_bucket_iam_member" "backend" {
  bucket = google_storage_bucket.this["images"].name
  role   = "roles/storage.objectViewer"
  member = google_service_account.this["backend"].member
}

# The release, and the images where there is no key.
resource "google_storage_bucket_iam_member" "machine" {
  for_each = local.buckets
  bucket   = google_storage_bucket.this[each.key].name
  role     = "roles/storage.objectViewer"
  member   = google_service_account.this["machine"].member
}

locals {
  # Label Studio looks at a bucket before it lists it, which is no object right: hence the second role.
  storage_roles = ["roles/storage.objectUser", "roles/storage.legacyBucketReader"]
}

resource "google_storage_bucket_iam_member" "storage" {
  for_each = { for pair in setproduct(keys(local.buckets), local.storage_roles) : join(" ", pair) => pair }
  bucket   = google_storage_bucket.this[each.value[0]].name
  role     = each.value[1]
  member   = google_service_account.this["storage"].member
}

# The two keys, and the password of the labeling page, which the machine makes and puts here.
resource "google_secret_manager_secret" "this" {
  for_each   = toset(["backend", "storage", "password"])
  secret_id  = "${var.name}-${each.key}"
  depends_on = [google_project_service.api]

  replication {
    auto {}
  }
}

resource "google_secret_manager_secret_iam_member" "reads" {
  for_each  = toset(["backend", "password"])
  secret_id = google_secret_manager_secret.this[each.key].id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.this["machine"].member
}

resource "google_secret_manager_secret_iam_member" "adds" {
  secret_id = google_secret_manager_secret.this["password"].id
  role      = "roles/secretmanager.secretVersionAdder"
  member    = google_service_account.this["machine"].member
}
