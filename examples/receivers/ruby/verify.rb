# SPDX-License-Identifier: Apache-2.0
# Standard Webhooks v1, Ruby 3.

require "openssl"

# True if the holder of the secret sent exactly this, at most 5 minutes ago. A header that is
# missing is nil; the body is the bytes that came.
def verify(secret, id, timestamp, signatures, body)
  return false if id.to_s.empty? || id.include?(".") || signatures.nil?
  return false unless timestamp.to_s.b.match?(/\A[0-9]{1,12}\z/)
  return false if (Time.now.to_i - timestamp.to_i).abs > 300

  key = secret.delete_prefix("whsec_").unpack1("m")
  return false if key.bytesize < 24 # such as none at all, because a setting is missing

  mac = OpenSSL::HMAC.digest("SHA256", key, "#{id}.#{timestamp}.".b + body.b)
  expected = "v1,#{[mac].pack("m0")}"
  signatures.b.split(" ").any? { |entry| OpenSSL.secure_compare(expected, entry) }
end
