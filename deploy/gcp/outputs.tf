output "page" {
  description = "The labeling page."
  value       = "https://${local.host}"
}

output "address" {
  description = "What a domain's DNS entry must point to."
  value       = google_compute_address.this.address
}

output "buckets" {
  description = "Photographs and annotations."
  value       = { for name, bucket in google_storage_bucket.this : name => bucket.url }
}

output "accounts" {
  description = "Service accounts: of the machine, and of the two keys."
  value       = { for name, account in google_service_account.this : name => account.email }
}

output "secrets" {
  description = "Where the two keys go, in base64, and where the password of the labeling page is."
  value       = { for name, secret in google_secret_manager_secret.this : name => secret.secret_id }
}
