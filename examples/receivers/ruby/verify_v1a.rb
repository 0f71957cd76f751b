# SPDX-License-Identifier: Apache-2.0
# Standard Webhooks v1a, Ruby 3.

require "openssl"

# As verify, with the public key, whpk_..., in the place of the secret.
def verify_v1a(public_key, id, timestamp, signatures, body)
  return false if id.to_s.empty? || id.include?(".") || signatures.nil?
  return false unless timestamp.to_s.b.match?(/\A[0-9]{1,12}\z/)
  return false if (Time.now.to_i - timestamp.to_i).abs > 300

  # What stands before an ed25519 public key in X.509 (RFC 8410 section 4).
  x509 = ["302a300506032b6570032100"].pack("H*")
  key = OpenSSL::PKey.read(x509 + public_key.delete_prefix("whpk_").unpack1("m"))
  signed = "#{id}.#{timestamp}.".b + body.b
  signatures.b.split(" ").any? do |entry|
    version, text = entry.split(",", 2)
    version == "v1a" && key.verify(nil, text.to_s.unpack1("m"), signed)
  end
end
