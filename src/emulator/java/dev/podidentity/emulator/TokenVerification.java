package dev.podidentity.emulator;

import java.time.Instant;

/** The result of {@link TokenMint#verify}. */
public sealed interface TokenVerification {

    /** The token is valid; these are its claims. */
    record Verified(String namespace, String serviceAccount, String pod, Instant expiresAt)
            implements TokenVerification {}

    /** The token was valid until this time. */
    record Expired(Instant since) implements TokenVerification {}

    /** The token is invalid, or not valid yet. */
    record Invalid(String message) implements TokenVerification {}
}
