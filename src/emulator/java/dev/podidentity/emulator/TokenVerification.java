package dev.podidentity.emulator;

import java.time.Instant;

/** What {@link TokenMint#verify} finds. */
public sealed interface TokenVerification {

    /** The token is good; these are its claims. */
    record Verified(String namespace, String serviceAccount, String pod, Instant expiresAt)
            implements TokenVerification {}

    /** The token was good until then. */
    record Expired(Instant since) implements TokenVerification {}

    /** The token is not good, and never was or is not yet. */
    record Invalid(String message) implements TokenVerification {}
}
