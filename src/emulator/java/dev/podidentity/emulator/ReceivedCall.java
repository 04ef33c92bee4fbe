package dev.podidentity.emulator;

import java.time.Instant;

/**
 * A call that arrived, whatever its result.
 *
 * @param token the token in its body; empty if there was none
 * @param start when the whole request had been read
 */
public record ReceivedCall(String token, Instant start) {}
