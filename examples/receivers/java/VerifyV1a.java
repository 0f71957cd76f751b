// SPDX-License-Identifier: Apache-2.0
// Standard Webhooks v1a, Java 15 or newer.

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.ByteArrayOutputStream;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PublicKey;
import java.security.Signature;
import java.security.SignatureException;
import java.security.spec.X509EncodedKeySpec;
import java.util.Base64;

final class VerifyV1a {
    // What stands before an ed25519 public key in X.509 (RFC 8410 section 4).
    private static final byte[] X509 = {0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0};

    /** As Verify.verify, with the public key, whpk_..., in the place of the secret. */
    static boolean verify(String publicKey, String id, String timestamp, String signatures,
            byte[] body) throws GeneralSecurityException {
        if (id == null || timestamp == null || signatures == null) return false;
        if (id.isEmpty() || id.contains(".") || !timestamp.matches("[0-9]{1,12}")) return false;
        long now = System.currentTimeMillis() / 1000;
        if (Math.abs(now - Long.parseLong(timestamp)) > 300) return false;
        ByteArrayOutputStream encoded = new ByteArrayOutputStream();
        encoded.writeBytes(X509);
        encoded.writeBytes(Base64.getDecoder().decode(publicKey.replaceFirst("^whpk_", "")));
        PublicKey key = KeyFactory.getInstance("Ed25519")
                .generatePublic(new X509EncodedKeySpec(encoded.toByteArray()));
        for (String entry : signatures.split(" ")) {
            if (!entry.matches("v1a,[A-Za-z0-9+/]{86}==")) continue; // else it is no signature
            Signature signature = Signature.getInstance("Ed25519");
            signature.initVerify(key);
            signature.update((id + "." + timestamp + ".").getBytes(UTF_8));
            signature.update(body);
            try {
                if (signature.verify(Base64.getDecoder().decode(entry.substring(4)))) return true;
            } catch (SignatureException e) {
                continue; // perhaps the next one
            }
        }
        return false;
    }
}
