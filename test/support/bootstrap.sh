#!/usr/bin/env bash
# Brings the programs the tests run against onto this machine. Written for bash 3.2 too (macOS).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
applications=$(cd "$here/../e2e" && pwd)

usage() {
  cat <<'HELP'
Usage: test/support/bootstrap.sh [--parts | --help]

Installs what the tests need and this machine lacks, then says what is still missing.

  (nothing)  as root, or where `sudo -n` works, installs Debian packages (apt-get) and says first which;
             services that packages bring are not started. Then installs with Composer Laravel 12 and, for
             Laravel 8, Pusher's SDK, into test/e2e/laravel-*/vendor. Takes well below a second when everything is there.
  --parts    installs nothing; prints one line a part: its name, a tab, and where it is ("-" when missing)
  --help     prints this

Environment
  CI=true          a missing part is an error (exit 1); otherwise it is only told (exit 0)
  CHROMIUM=PATH    the Chromium or Chrome to use
  FIREFOX=PATH     the Firefox to use
HELP
}

main() {
  case "${1:-}" in
    '') ;;
    --parts) list_parts; exit 0 ;;
    --help | -h) usage; exit 0 ;;
    *) echo "bootstrap: unknown argument '$1', see --help" >&2; exit 2 ;;
  esac

  local parts missing
  parts=$(list_parts)
  if [[ -n $(packages_for "$parts") ]]; then
    install_packages "$(packages_for "$parts")"
    parts=$(list_parts)
  fi
  if [[ -n $(composer_folders "$parts") ]]; then
    composer_install "$(composer_folders "$parts")"
    parts=$(list_parts)
  fi

  missing=$(missing_in "$parts")
  [[ -z $missing ]] && return
  tell_missing "$missing"
  [[ ${CI:-} == true ]] && exit 1
  return 0
}

# --- What is here ---------------------------------------------------------------------------------

list_parts() {
  local php_facts=''
  command -v php >/dev/null && php_facts=$(ask_php 2>/dev/null || true)
  part redis "$(first_program redis-server)"
  part nginx "$(first_program nginx)"
  part chromium "$(first_program "${CHROMIUM:-}" chromium chromium-browser google-chrome google-chrome-stable \
    '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome' '/Applications/Chromium.app/Contents/MacOS/Chromium')"
  part firefox "$(first_program "${FIREFOX:-}" firefox-esr firefox /Applications/Firefox.app/Contents/MacOS/firefox)"
  part webkit "$(webkit)"
  part curl "$(first_program curl)"
  part openssl "$(first_program openssl)"
  part php "$(fact php "$php_facts")"
  part phpredis "$(fact phpredis "$php_facts")"
  part laravel-8 "$(fact laravel-8 "$php_facts")"
  part laravel-12 "$(vendor_of laravel-12)"
  part pusher-sdk "$(vendor_of laravel-8)"
}

vendor_of() { if [[ -f $applications/$1/vendor/autoload.php ]]; then echo "$applications/$1/vendor"; fi; }

part() { printf '%s\t%s\n' "$1" "${2:--}"; }

fact() { sed -n "s/^$1=//p" <<<"$2"; }

# Daemons live in sbin folders, which are not on the PATH of an ordinary user.
first_program() {
  local name
  for name in "$@"; do
    [[ -n $name ]] && PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin command -v "$name" && return
  done
  return 0
}

# WebKitGTK is a browser to drive, its driver, and a screen to run on.
webkit() {
  [[ -n $(first_program WebKitWebDriver) && -n $(first_program Xvfb) ]] || return 0
  first_program /usr/lib/*/webkit2gtk-4.*/MiniBrowser
}

# One PHP process answers everything. Laravel 8 is looked for where Debian puts it, on PHP's include path.
ask_php() {
  php -d display_errors=0 -r '
    $extensions = ["curl", "dom", "mbstring", "openssl", "session", "tokenizer"];
    if (PHP_VERSION_ID < 80200 || array_filter($extensions, fn ($name) => !extension_loaded($name))) exit;
    echo "php=", PHP_BINARY, "\n";
    if (extension_loaded("redis")) echo "phpredis=", phpversion("redis"), "\n";
    $laravel = stream_resolve_include_path("Illuminate/autoload.php");
    $application = stream_resolve_include_path("Illuminate/Foundation/Application.php");
    $isEight = $application && preg_match("/VERSION = .8\./", file_get_contents($application));
    if ($laravel && $isEight && stream_resolve_include_path("Predis/Autoloader.php")) echo "laravel-8=$laravel\n";
  '
}

missing_in() { awk -F '\t' '$2 == "-" { printf "%s%s", separator, $1; separator = " " }' <<<"$1"; }

# --- Debian packages ------------------------------------------------------------------------------

packages_for() {
  local name
  for name in $(missing_in "$1"); do
    case $name in
      redis) echo redis-server ;;
      firefox) echo firefox-esr ;;
      webkit) echo webkit2gtk-driver xvfb ;;
      php) echo php-cli php-curl php-mbstring php-xml ;;
      phpredis) echo php-redis ;;
      laravel-8) echo php-laravel-framework php-nrk-predis ;;
      laravel-12 | pusher-sdk) command -v composer >/dev/null || echo composer unzip ;;
      *) echo "$name" ;;
    esac
  done | sort -u | xargs
}

install_packages() {
  local wanted=$1 known
  command -v apt-get >/dev/null || return 0
  if ! as_root true 2>/dev/null; then return 0; fi

  known=$(known_packages "$wanted")
  if [[ $known != "$wanted" ]]; then
    as_root apt-get update -qq || true
    known=$(known_packages "$wanted")
  fi
  [[ -z $known ]] && return 0

  echo "bootstrap: installing Debian packages: $known (their services are not started)"
  without_services_apt_install "$known" || {
    # Lists that are older than the mirror name versions that are gone.
    as_root apt-get update -qq || true
    without_services_apt_install "$known" || echo 'bootstrap: apt-get failed, see above' >&2
  }
}

as_root() {
  if [[ $(id -u) == 0 ]]; then "$@"; else sudo -n "$@"; fi
}

known_packages() {
  local name
  for name in $1; do
    if [[ $(apt-cache policy "$name" 2>/dev/null) == *'Candidate: '[!\(]* ]]; then echo "$name"; fi
  done | xargs
}

# Debian asks /usr/sbin/policy-rc.d before a package may start its service (invoke-rc.d(8)); 101 forbids it.
# A file that is already there is the machine owner's word and stays.
without_services_apt_install() {
  local policy=/usr/sbin/policy-rc.d ours=no status=0 output
  if [[ ! -e $policy ]]; then
    ours=yes
    trap 'as_root rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
  fi
  # shellcheck disable=SC2086 # a list of words
  output=$(as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq -o DPkg::Lock::Timeout=120 \
    --no-install-recommends $1 2>&1) || { status=$?; echo "$output" >&2; }
  if [[ $ours == yes ]]; then
    as_root rm -f "$policy"
    trap - EXIT
  fi
  return $status
}

# --- What comes with Composer -----------------------------------------------------------------------

# Where something is still to be installed.
composer_folders() {
  local folder
  command -v composer >/dev/null || return 0
  # Composer would refuse each package in turn.
  [[ " $(missing_in "$1") " == *' php '* ]] && return 0
  for folder in laravel-12 laravel-8; do
    folder=$applications/$folder
    if [[ ! -f $folder/vendor/autoload.php || $folder/composer.json -nt $folder/vendor/autoload.php ]]; then
      echo "$folder"
    fi
  done
}

composer_install() {
  local folder
  while read -r folder; do
    echo "bootstrap: installing with Composer what test/e2e/$(basename "$folder")/composer.json names"
    # No lock file is kept: the tests run against the newest versions that fit.
    COMPOSER_ALLOW_SUPERUSER=1 composer update --working-dir="$folder" \
      --no-interaction --no-progress --no-plugins --no-scripts --prefer-dist --quiet >&2 </dev/null &&
      touch "$folder/vendor/autoload.php" ||
      echo 'bootstrap: composer failed, see above' >&2
  done <<<"$1"
}

# --- What to say ----------------------------------------------------------------------------------

tell_missing() {
  cat >&2 <<TELL

bootstrap: missing on this machine: $1
Tests that need these parts cannot run. To get everything:

  Debian 12, WSL2 with Debian   sudo apt-get install --no-install-recommends redis-server nginx chromium firefox-esr \\
                                  webkit2gtk-driver xvfb curl openssl unzip composer php-cli php-curl php-mbstring \\
                                  php-xml php-redis php-laravel-framework php-nrk-predis
  Ubuntu, newer Debian          the same line; where there is no Laravel 8 package its tests cannot run, and where chromium is
                                  only a snap install Google Chrome's .deb and Mozilla's firefox
  macOS (Homebrew)              brew install redis nginx curl openssl php composer && pecl install redis &&
                                  brew install --cask google-chrome firefox   (Laravel 8 and WebKitGTK come from Debian only)
  Container                     docker run --rm -v "\$PWD":/app -w /app node:20-bookworm sh -c 'npm ci && npm test'

then run \`npm test\` again.

TELL
}

main "$@"
