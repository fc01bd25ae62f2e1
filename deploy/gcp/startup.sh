#!/bin/bash
# Startup script of the machine that machine.tf describes: Docker, the release, the team stack. It runs at every boot as
# root and does what is missing, so a reboot also brings a new release or a new key. Its output goes to the serial
# console, which people of the project can read: it prints no secret, writes none to a file and gives none as an argument.
# Docker keeps the environment of containers, and so the backends' key, in files of its own, which root alone can read.
set -euo pipefail
shopt -s inherit_errexit

readonly FOLDER=/opt/segstudio
readonly METADATA=http://metadata.google.internal/computeMetadata/v1/instance
readonly SECRETS=https://secretmanager.googleapis.com/v1
readonly STORAGE=https://storage.googleapis.com/storage/v1

say() { echo "segstudio: $*"; }

fail() { # WHAT HINT
  say "error: $1 ($2)" >&2
  exit 1
}

# Networks are slow to come up on a first boot, hence the retries; a refusal (4xx) is final at once.
get() { curl --fail --silent --show-error --retry 6 --retry-connrefused --max-time 900 "$@"; }

metadata() { get --header "Metadata-Flavor: Google" "$METADATA/$1"; }

attribute() {
  metadata "attributes/segstudio-$1" || fail "the machine has no metadata segstudio-$1" "run terraform apply again"
}

# The machine's own identity, as a header that curl reads from a pipe: arguments can be seen by every process.
authorization() {
  metadata service-accounts/default/token | jq -r '"Authorization: Bearer " + .access_token'
}

google() { get --header @<(authorization) "$@"; }

# Prints the newest version of a secret; nothing where there is none yet. Of an answer that is an error, curl gives the
# status alone: the body of a failed try would else stand before the secret that the next try brings.
read_secret() { # projects/…/secrets/…
  local answer status
  answer=$(google --no-show-error --write-out '\n%{http_code}' "$SECRETS/$1/versions/latest:access") || true
  status=${answer##*$'\n'}
  case $status in
    200) jq -r .payload.data <<<"${answer%$'\n'*}" | base64 --decode ;;
    404) ;;
    000) fail "Secret Manager does not answer" "is there a way to the internet?" ;;
    429 | 5??) fail "Secret Manager answers $status for $1" "start the machine again later" ;;
    *) fail "Secret Manager answers $status for $1" "may the machine's service account read it?" ;;
  esac
}

add_secret() { # projects/…/secrets/…, the value on standard input
  jq --raw-input --slurp '{payload: {data: @base64}}' |
    google --output /dev/null --header "Content-Type: application/json" --data @- "$SECRETS/$1:addVersion"
}

install_docker() {
  if docker compose version >/dev/null 2>&1 && command -v jq >/dev/null; then return; fi
  say "installing Docker"
  local apt=(apt-get -qq -o DPkg::Lock::Timeout=600)
  export DEBIAN_FRONTEND=noninteractive
  "${apt[@]}" update
  "${apt[@]}" install -y --no-install-recommends \
    ca-certificates curl jq docker.io docker-cli docker-buildx docker-compose >/dev/null
  docker compose version >/dev/null || fail "docker compose does not work" "boot from Debian 13 or newer"
}

# Leaves the release in a folder of its own, whole or not at all.
fetch_release() { # BUCKET/OBJECT SHA256
  local bucket=${1%%/*} object=${1#*/} place=$FOLDER/releases/$2 new=$FOLDER/new path
  if [ -d "$place" ]; then return; fi
  say "fetching release ${2:0:12}"
  rm -rf "$new"
  mkdir -p "$new/release" "$FOLDER/releases"
  path=$(jq -rn --arg object "$object" '$object | @uri')
  google --output "$new/archive" "$STORAGE/b/$bucket/o/$path?alt=media"
  sha256sum --check --status <<<"$2  $new/archive" ||
    fail "the release is not what was uploaded" "run terraform apply again"
  tar --extract --gzip --same-permissions --no-same-owner --strip-components 1 \
    --directory "$new/release" --file "$new/archive"
  mv --no-target-directory "$new/release" "$place"
  rm -r "$new"
}

# What Compose reads in addition to the environment; no secrets in here.
write_settings() { # VERSION
  local host gpu settings files=docker-compose.yml:docker-compose.team.yml
  host=$(attribute host)
  gpu=$(attribute gpu)
  settings=$(attribute settings)
  [ "$gpu" = none ] || files+=:docker-compose.gpu.yml
  cat >.env <<END
COMPOSE_FILE=$files
SEGSTUDIO_VERSION=$1
LABEL_STUDIO_HOST=https://$host
BIND_ADDRESS=0.0.0.0
$settings
END
}

# Before the key is read, so that whoever sets the machine up has the minutes of the build to put it there.
build_images() { # VERSION
  if docker image inspect "segstudio-segmentation:$1" "segstudio-sam:$1" >/dev/null 2>&1; then return; fi
  say "building the images"
  docker compose build
}

start_stack() {
  local secret key bootstrap
  secret=$(attribute credentials-secret)
  key=$(read_secret "$secret")
  if [ -n "$key" ]; then
    say "starting, with the service account's key of Secret Manager"
  else
    say "starting, with no key in Secret Manager: buckets are read with the machine's own identity"
  fi
  if GOOGLE_APPLICATION_CREDENTIALS_BASE64=$key docker compose up --detach --wait --quiet-pull --remove-orphans; then return; fi
  bootstrap=$(docker compose ps --all --quiet bootstrap)
  fail "the stack did not come up" "$(docker logs --tail 3 "$bootstrap" 2>&1)"
}

# Caddy's root certificate is public. Browsers and the command line that trust it trust the page, if no other certificate is set up.
print_root_certificate() {
  say "root certificate: $(docker compose exec -T caddy cat /data/caddy/pki/authorities/local/root.crt | base64 --wrap=0)"
}

publish_password() {
  local secret password known
  secret=$(attribute password-secret)
  password=$(docker compose exec -T label-studio cat /secrets/label_studio_password)
  known=$(read_secret "$secret")
  if [ "$known" = "$password" ]; then return; fi
  printf %s "$password" | add_secret "$secret"
  say "the password of the labeling page is in Secret Manager"
}

forget_older_releases() { # SHA256
  local old version
  for old in "$FOLDER"/releases/*; do
    version=$(basename "$old")
    if [ "$version" = "$1" ]; then continue; fi
    say "forgetting release ${version:0:12}"
    docker image rm "segstudio-segmentation:${version:0:12}" "segstudio-sam:${version:0:12}" >/dev/null ||
      say "its images are in use or gone"
    rm -r "$old"
  done
}

main() {
  local release sum
  install_docker
  release=$(attribute release)
  sum=$(basename "$release" .tar.gz)
  fetch_release "$release" "$sum"
  cd "$FOLDER/releases/$sum"
  write_settings "${sum:0:12}"
  build_images "${sum:0:12}"
  start_stack
  publish_password
  print_root_certificate
  forget_older_releases "$sum"
  say "ready"
}

trap 'status=$?; [ "$status" = 0 ] || say "stopped with $status; the next boot tries again"' EXIT
export HOME=${HOME:-/root} COMPOSE_ANSI=never
umask 077
main
