# A network of its own: the default one lets SSH and RDP in.
resource "google_compute_network" "this" {
  name                    = var.name
  auto_create_subnetworks = false
  depends_on              = [google_project_service.api]
}

resource "google_compute_subnetwork" "this" {
  name          = var.name
  network       = google_compute_network.this.id
  ip_cidr_range = "10.10.0.0/28"
}

resource "google_compute_firewall" "web" {
  name          = "${var.name}-web"
  network       = google_compute_network.this.id
  direction     = "INGRESS"
  source_ranges = var.allowed_ranges

  allow {
    protocol = "tcp"
    ports    = ["80", "443"]
  }
}

# Let's Encrypt checks the domain from addresses that it does not publish.
resource "google_compute_firewall" "acme" {
  count         = var.domain == "" ? 0 : 1
  name          = "${var.name}-acme"
  network       = google_compute_network.this.id
  direction     = "INGRESS"
  source_ranges = ["0.0.0.0/0"]

  allow {
    protocol = "tcp"
    ports    = ["80"]
  }
}

resource "google_compute_address" "this" {
  name       = var.name
  depends_on = [google_project_service.api]
}
