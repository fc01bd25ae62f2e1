output "page" {
  description = "The labeling page."
  value       = "https://${local.host}"
}

output "address" {
  description = "What a domain's DNS entry must point to."
  value       = google_compute_address.this.address
}

output "password_secret" {
  description = "Where the password of the labeling page is."
  value       = google_secret_manager_secret.password.secret_id
}

output "service_account" {
  description = "Whose key goes into the secret below."
  value       = google_service_account.this.email
}

output "credentials_secret" {
  description = "Where the service account's key goes, in base64."
  value       = google_secret_manager_secret.credentials.secret_id
}

output "buckets" {
  description = "Photographs and annotations."
  value       = { for name, bucket in google_storage_bucket.this : name => bucket.url }
}
