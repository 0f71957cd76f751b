# SPDX-License-Identifier: Apache-2.0
# Verifies one delivery as CGI hands it over; see ../README.md.

require_relative "verify"
require_relative "verify_v1a"

secret = ENV.fetch("WEBHOOK_SECRET", "")
headers = %w[ID TIMESTAMP SIGNATURE].map { |name| ENV["HTTP_WEBHOOK_#{name}"] }
good = send(secret.start_with?("whpk_") ? :verify_v1a : :verify, secret, *headers, $stdin.binmode.read)
puts good ? "accepted" : "refused"
exit good
