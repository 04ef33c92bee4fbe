package dev.podidentity.agent.token;

import dev.podidentity.agent.token.RejectedToken.Rejection;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.time.Instant;
import java.util.Optional;

/**
 * Reads the claims of a token, or of an object among them, and checks their types. Does not establish whether they are true.
 */
public final class Claims {

    /** The last instant that ISO 8601 can write with a four-digit year. A later time in a JWT is nonsense. */
    private static final Instant LATEST = Instant.parse("9999-12-31T23:59:59Z");

    private final JsonObject json;

    public Claims(JsonObject json) {
        this.json = json;
    }

    /** Returns a claim that is a string, if it is present. */
    public Optional<String> text(String claim) throws Rejection {
        if (json.getValue(claim) instanceof String text) {
            return Optional.of(text);
        }
        if (json.containsKey(claim)) {
            throw wrongType(claim, "a string");
        }
        return Optional.empty();
    }

    /** Returns a claim that is an object; an absent one is empty. */
    public Claims object(String claim) throws Rejection {
        if (json.getValue(claim) instanceof JsonObject object) {
            return new Claims(object);
        }
        if (json.containsKey(claim)) {
            throw wrongType(claim, "an object");
        }
        return new Claims(new JsonObject());
    }

    /** Returns a claim that is a time, if it is present. */
    Optional<Instant> instant(String claim) throws Rejection {
        if (!json.containsKey(claim)) {
            return Optional.empty();
        }
        if (!(json.getValue(claim) instanceof Number number)) {
            throw wrongType(claim, "a number");
        }
        double epochSeconds = number.doubleValue();
        if (Double.isNaN(epochSeconds) || epochSeconds < 0 || epochSeconds > LATEST.getEpochSecond()) {
            throw Rejection.invalid("In the token's claims, " + claim + " is no time: it must be seconds since 1970");
        }
        return Optional.of(Instant.ofEpochMilli((long) Math.floor(epochSeconds * 1000)));
    }

    private Instant expiresAt() throws Rejection {
        return instant("exp").orElseThrow(() -> Rejection.invalid(
                "The token has no exp claim: a projected service-account token always has one"));
    }

    public void requireAudience(String audience) throws Rejection {
        Object aud = json.getValue("aud");
        boolean named;
        if (aud instanceof String one) {
            named = one.equals(audience);
        } else if (aud instanceof JsonArray many) {
            if (!many.stream().allMatch(String.class::isInstance)) {
                throw wrongType("aud", "a string or an array of strings");
            }
            named = many.contains(audience);
        } else if (aud == null && !json.containsKey("aud")) {
            named = false;
        } else {
            throw wrongType("aud", "a string or an array of strings");
        }
        if (!named) {
            throw Rejection.invalid("The token is not for the audience " + audience
                    + ": use the token file that EKS Pod Identity mounts into the pod");
        }
    }

    /** Returns the times of a token, which must have an {@code exp}. */
    public Validity validity() throws Rejection {
        return new Validity(expiresAt(), instant("nbf"), instant("iat"));
    }

    private static Rejection wrongType(String claim, String expected) {
        return Rejection.invalid("In the token's claims, " + claim + " is not " + expected);
    }
}
