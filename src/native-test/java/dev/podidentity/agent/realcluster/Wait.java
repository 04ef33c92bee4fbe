package dev.podidentity.agent.realcluster;

import java.time.Duration;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.function.Predicate;
import java.util.function.Supplier;

/** Waits for effects of other processes. */
final class Wait {

    private static final Duration PATIENCE = Duration.ofSeconds(60);
    private static final Duration INTERVAL = Duration.ofMillis(20);

    private Wait() {}

    static void until(String what, BooleanSupplier condition) {
        until(what, PATIENCE, condition);
    }

    static void until(String what, Duration patience, BooleanSupplier condition) {
        until(what, patience, condition::getAsBoolean, met -> met);
    }

    /** Polls a value until it satisfies a condition, and returns it. */
    static <T> T until(String what, Supplier<T> value, Predicate<T> wanted) {
        return until(what, PATIENCE, value, wanted);
    }

    static <T> T until(String what, Duration patience, Supplier<T> value, Predicate<T> wanted) {
        long end = System.nanoTime() + patience.toNanos();
        T now = value.get();
        while (!wanted.test(now)) {
            if (System.nanoTime() - end > 0) {
                throw new AssertionError("Not met within " + patience.toSeconds() + " s: " + what + "; last value: " + now);
            }
            LockSupport.parkNanos(INTERVAL.toNanos());
            now = value.get();
        }
        return now;
    }
}
