package dev.podidentity.agent.badday;

import java.time.Duration;

/**
 * How much the check allows.
 *
 * @param allowance beyond the deadline of a client, for a noisy machine
 * @param settling how long after a trouble its memory, descriptors and threads are looked at
 * @param memoryKib anonymous memory that may be there beyond that of the first quiet phase: garbage that is not collected
 * @param growthKib by how much the median of the last quiet phases may be over that of the first ones
 * @param descriptors that may be there beyond those of the first quiet phase
 * @param threads that may be there beyond those of the first quiet phase
 */
public record Rules(
        Duration allowance, Duration settling, long memoryKib, long growthKib, long descriptors, long threads) {

    /** For a day of minutes. */
    public static Rules usual() {
        return new Rules(Duration.ofMillis(500), Duration.ofSeconds(12), 24 * 1024, 4 * 1024, 64, 4);
    }

    /** For a day on which the agent is never left alone, so that it does not settle; on a machine that may be busy. */
    public static Rules withoutRest() {
        return new Rules(Duration.ofSeconds(1), Duration.ofDays(1), 0, 0, 0, 0);
    }
}
