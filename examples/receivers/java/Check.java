// SPDX-License-Identifier: Apache-2.0

/** Verifies one delivery as CGI hands it over; see ../README.md. */
final class Check {
    public static void main(String[] arguments) throws Exception {
        String secret = System.getenv().getOrDefault("WEBHOOK_SECRET", "");
        String id = System.getenv("HTTP_WEBHOOK_ID");
        String timestamp = System.getenv("HTTP_WEBHOOK_TIMESTAMP");
        String signatures = System.getenv("HTTP_WEBHOOK_SIGNATURE");
        byte[] body = System.in.readAllBytes();
        boolean good = secret.startsWith("whpk_")
                ? VerifyV1a.verify(secret, id, timestamp, signatures, body)
                : Verify.verify(secret, id, timestamp, signatures, body);
        System.out.println(good ? "accepted" : "refused");
        System.exit(good ? 0 : 1);
    }
}
