package dev.podidentity.agent.testing;

import dev.podidentity.agent.token.ServiceAccountToken;
import dev.podidentity.agent.token.TokenReader;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.Base64;
import java.util.List;

/** Creates tokens that look like projected service account tokens, but have no valid signature. */
public final class Tokens {

    public static final String AUDIENCE = "pods.eks.amazonaws.com";
    /** The lifetime that the EKS webhook requests for projected tokens. */
    private static final long LIFETIME_SECONDS = 86_400;
    private static final byte[] SIGNATURE = "nobody has signed this".getBytes(StandardCharsets.UTF_8);

    private Tokens() {}

    /** Encodes a header and claims, which need not be valid JSON, as a compact JWT. */
    public static String jwt(String header, String claims) {
        return base64(header) + '.' + base64(claims) + '.' + base64(SIGNATURE);
    }

    /** Creates a pod's token that is issued at this instant and valid for a day. */
    public static String valid(Instant now, String pod) {
        return jwt(header().encode(), claims(now, pod).encode());
    }

    /** Creates the same token and parses it as the agent does. */
    public static ServiceAccountToken read(Instant now, String pod) {
        return (ServiceAccountToken) new TokenReader(AUDIENCE, Clock.fixed(now, ZoneOffset.UTC))
                .read(List.of(valid(now, pod)));
    }

    /** Returns the header of a valid token, for a test to modify. */
    public static JsonObject header() {
        return new JsonObject().put("alg", "RS256").put("kid", "key-1");
    }

    /** Returns the claims of a valid token, for a test to modify. */
    public static JsonObject claims(Instant now, String pod) {
        return new JsonObject()
                .put("aud", new JsonArray().add(AUDIENCE))
                .put("exp", now.getEpochSecond() + LIFETIME_SECONDS)
                .put("iat", now.getEpochSecond())
                .put("nbf", now.getEpochSecond())
                .put("iss", "https://oidc.eks.us-west-2.amazonaws.com/id/0123456789ABCDEF")
                .put("sub", "system:serviceaccount:shop:cart")
                .put("jti", "9a1c2e52-4f4e-4d0b-8f0e-0a7a4b0c9d11")
                .put("kubernetes.io", new JsonObject()
                        .put("namespace", "shop")
                        .put("serviceaccount", new JsonObject().put("name", "cart").put("uid", "sa-uid"))
                        .put("pod", new JsonObject().put("name", pod).put("uid", "pod-uid"))
                        .put("node", new JsonObject().put("name", "node-1").put("uid", "node-uid")));
    }

    public static String base64(String text) {
        return base64(text.getBytes(StandardCharsets.UTF_8));
    }

    public static String base64(byte[] bytes) {
        return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
    }
}
