package dev.podidentity.agent.token;

import dev.podidentity.agent.token.RejectedToken.Rejection;
import io.vertx.core.json.DecodeException;
import io.vertx.core.json.JsonObject;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Optional;

/**
 * A parsed compact JWT. Nothing in it can be trusted before its signature has been verified.
 *
 * @param header the first part
 * @param claims the second part
 * @param raw all three parts as they were sent, a secret
 */
public record CompactJwt(JsonObject header, JsonObject claims, String raw) {

    public static CompactJwt parse(String raw) throws Rejection {
        String[] parts = raw.split("\\.", -1);
        if (parts.length != 3) {
            throw Rejection.invalid("The token is not a JWT: it has " + parts.length + " parts instead of 3");
        }
        JsonObject header = object("header", parts[0]);
        JsonObject claims = object("claims", parts[1]);
        if (decode("signature", parts[2]).length == 0) {
            throw Rejection.invalid("The token has no signature");
        }
        return new CompactJwt(header, claims, raw);
    }

    /**
     * Rejects a signature whose text encodes more than its bytes. Otherwise the spare bits of the last character would allow
     * several texts for one token.
     */
    public void requireCanonicalSignature() throws Rejection {
        String signature = raw.substring(raw.lastIndexOf('.') + 1);
        if (!Base64.getUrlEncoder().withoutPadding().encodeToString(decode("signature", signature)).equals(signature)) {
            throw Rejection.invalid("The token's signature is not base64url: bits are set beyond its end");
        }
    }

    /** Returns the {@code alg} of the header, if present. */
    public Optional<String> algorithm() throws Rejection {
        return headerText("alg");
    }

    /** Returns the {@code kid} of the header, if present. */
    public Optional<String> keyId() throws Rejection {
        return headerText("kid");
    }

    private Optional<String> headerText(String key) throws Rejection {
        if (header.getValue(key) instanceof String text) {
            return Optional.of(text);
        }
        if (header.containsKey(key)) {
            throw Rejection.invalid("In the token's header, " + key + " is not a string");
        }
        return Optional.empty();
    }

    private static JsonObject object(String part, String base64) throws Rejection {
        Object value;
        try {
            value = StrictJson.read(new String(decode(part, base64), StandardCharsets.UTF_8));
        } catch (DecodeException e) {
            throw Rejection.invalid("The token's " + part + " is not JSON");
        }
        if (value instanceof JsonObject object) {
            return object;
        }
        throw Rejection.invalid("The token's " + part + " is not a JSON object");
    }

    private static byte[] decode(String part, String base64) throws Rejection {
        if (base64.endsWith("=")) {
            throw Rejection.invalid("The token's " + part + " is not base64url: it has padding");
        }
        try {
            return Base64.getUrlDecoder().decode(base64);
        } catch (IllegalArgumentException e) {
            throw Rejection.invalid("The token's " + part + " is not base64url");
        }
    }

    /** Omits the secret. */
    @Override
    public String toString() {
        return "CompactJwt[" + header + "]";
    }
}
