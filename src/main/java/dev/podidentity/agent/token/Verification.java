package dev.podidentity.agent.token;

/** The result of verifying a token: what it proves, why it is rejected, or why neither is known. */
public sealed interface Verification permits VerifiedClaims, NotVerified, RejectedToken {}
