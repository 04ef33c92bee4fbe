package dev.podidentity.agent.verification;

import dev.podidentity.agent.outbound.CallFailure;
import dev.podidentity.agent.token.StrictJson;
import dev.podidentity.agent.verification.KeySource.PublishedKeys;
import io.vertx.core.json.DecodeException;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;

/**
 * The keys that tokens of one issuer are verified with. Two are equal if they verify the same tokens.
 *
 * @param issuer the {@code iss} of the tokens
 * @param byId the keys, at least one, by {@code kid}: there may be several of one
 */
record VerificationKeys(String issuer, Map<String, Set<VerificationKey>> byId) {

    /** A cluster has a few keys, of half a KiB each. */
    static final int LONGEST = 1 << 20;

    VerificationKeys {
        byId = Map.copyOf(byId);
    }

    /**
     * Reads what was published; leaves out the keys that tokens may not be signed with. Takes milliseconds.
     *
     * @throws CallFailure if that is no JSON Web Key Set, or no key of it is left
     */
    static VerificationKeys read(PublishedKeys published) throws CallFailure {
        if (published.issuer().isEmpty()) {
            throw new CallFailure("The keys are published without an issuer", false);
        }
        JsonArray entries = entries(published.jwks());
        Map<String, Set<VerificationKey>> byId = new HashMap<>();
        for (Object entry : entries) {
            if (entry instanceof JsonObject jwk) {
                VerificationKey.read(jwk).ifPresent(key ->
                        byId.computeIfAbsent(key.id(), id -> new HashSet<>()).add(key));
            }
        }
        if (byId.isEmpty()) {
            throw new CallFailure("None of the " + entries.size() + " published keys can verify a token: there must be"
                    + " an RSA key of 2048 bits or more, or an EC key, with a kid and for signatures", false);
        }
        byId.replaceAll((id, keys) -> Set.copyOf(keys));
        return new VerificationKeys(published.issuer(), byId);
    }

    private static JsonArray entries(String jwks) throws CallFailure {
        if (jwks.length() > LONGEST) {
            throw new CallFailure("The published keys are over " + LONGEST + " characters long", false);
        }
        Object value;
        try {
            value = StrictJson.read(jwks);
        } catch (DecodeException e) {
            throw new CallFailure("The published keys are not JSON", false);
        }
        if (value instanceof JsonObject set && set.getValue("keys") instanceof JsonArray keys) {
            return keys;
        }
        throw new CallFailure("The published keys are no JSON Web Key Set: there is no array named keys", false);
    }

    /** The keys of that {@code kid}; empty if there is none. */
    Set<VerificationKey> named(String id) {
        return byId.getOrDefault(id, Set.of());
    }

    /** How many there are. */
    int size() {
        return byId.values().stream().mapToInt(Set::size).sum();
    }
}
