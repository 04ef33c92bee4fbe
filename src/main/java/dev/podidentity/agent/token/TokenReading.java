package dev.podidentity.agent.token;

/** What reading an {@code Authorization} header gave: a token that may be asked about, or the reason why not. */
public sealed interface TokenReading permits ServiceAccountToken, RejectedToken {}
