// SPDX-License-Identifier: Apache-2.0
// Standard Webhooks v1, Java 11 or newer.

import static java.nio.charset.StandardCharsets.UTF_8;

import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.Base64;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

final class Verify {
    /**
     * True if the holder of the secret sent exactly this, at most 5 minutes ago. A header that is
     * missing is null; the body is the bytes that came.
     */
    static boolean verify(String secret, String id, String timestamp, String signatures,
            byte[] body) throws GeneralSecurityException {
        if (id == null || timestamp == null || signatures == null) return false;
        if (id.isEmpty() || id.contains(".") || !timestamp.matches("[0-9]{1,12}")) return false;
        long now = System.currentTimeMillis() / 1000;
        if (Math.abs(now - Long.parseLong(timestamp)) > 300) return false;
        byte[] key = Base64.getDecoder().decode(secret.replaceFirst("^whsec_", ""));
        if (key.length < 24) return false; // such as none at all, because a setting is missing
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(key, "HmacSHA256"));
        mac.update((id + "." + timestamp + ".").getBytes(UTF_8));
        String expected = "v1," + Base64.getEncoder().encodeToString(mac.doFinal(body));
        for (String entry : signatures.split(" ")) {
            if (MessageDigest.isEqual(expected.getBytes(UTF_8), entry.getBytes(UTF_8))) return true;
        }
        return false;
    }
}
