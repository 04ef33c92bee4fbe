package dev.podidentity.agent.token;

/** What verifying a token gave: what it proves, why it is rejected, or why neither can be said. */
public sealed interface Verification permits VerifiedClaims, NotVerified, RejectedToken {}
