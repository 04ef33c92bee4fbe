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
 * The signing keys of one issuer. Two are equal if they verify the same tokens.
 *
 * @param issuer the {@code iss} of the tokens
 * @param byId the keys, at least one, by {@code kid}, which may be ambiguous
 */
record VerificationKeys(String issuer, Map<String, Set<VerificationKey>> byId) {

    /** A cluster has a few keys, of half a KiB each. */
    static final int LONGEST = 1 << 20;

    VerificationKeys {
        byId = Map.copyOf(byId);
    }

    /**
     * Parses published keys, and omits those with which tokens must not be signed. Takes milliseconds.
     *
     * @throws CallFailure if it is not a JSON Web Key Set, or no key remains
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

    /** Returns the keys of that {@code kid}; empty if there are none. */
    Set<VerificationKey> named(String id) {
        return byId.getOrDefault(id, Set.of());
    }

    /** Returns the number of keys. */
    int size() {
        return byId.values().stream().mapToInt(Set::size).sum();
    }
}
