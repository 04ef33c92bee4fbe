package dev.podidentity.agent.badday;

import java.time.Duration;

/**
 * The tolerances of the check.
 *
 * @param allowance the time beyond the deadline of a client, for a noisy machine
 * @param settling the time between a fault and the check of memory, descriptors and threads
 * @param memoryKib the anonymous memory allowed beyond that of the first quiet phase: garbage that is not yet collected
 * @param growthKib how far the median of the last quiet phases may exceed that of the first ones
 * @param descriptors the descriptors allowed beyond those of the first quiet phase
 * @param threads the threads allowed beyond those of the first quiet phase
 */
public record Rules(
        Duration allowance, Duration settling, long memoryKib, long growthKib, long descriptors, long threads) {

    /** Returns the rules for a day of minutes. */
    public static Rules usual() {
        return new Rules(Duration.ofMillis(500), Duration.ofSeconds(12), 24 * 1024, 4 * 1024, 64, 4);
    }

    /** Returns the rules for a day without quiet phases, in which the agent cannot settle, on a machine that may be busy. */
    public static Rules withoutRest() {
        return new Rules(Duration.ofSeconds(1), Duration.ofDays(1), 0, 0, 0, 0);
    }
}
