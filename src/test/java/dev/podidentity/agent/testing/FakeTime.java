package dev.podidentity.agent.testing;

import dev.podidentity.agent.loop.Timers;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.util.Comparator;
import java.util.PriorityQueue;
import java.util.function.LongSupplier;

/** Provides a clock and timers that stand still until a test advances them. */
public final class FakeTime implements Timers {

    public static final Instant START = Instant.parse("2026-01-01T00:00:00Z");

    private final PriorityQueue<Task> tasks =
            new PriorityQueue<>(Comparator.comparing(Task::due).thenComparing(Task::number));
    private Instant now = START;
    /** By how much the wall clock is ahead of the true time. */
    private Duration error = Duration.ZERO;
    private long scheduled;

    public Instant now() {
        return now;
    }

    public Duration elapsed() {
        return Duration.between(START, now);
    }

    /** Advances the time and runs each task that becomes due, at its own time, including tasks scheduled by others. */
    public void advance(Duration duration) {
        Instant until = now.plus(duration);
        while (!tasks.isEmpty() && !tasks.peek().due.isAfter(until)) {
            Task next = tasks.remove();
            now = next.due;
            next.task.run();
        }
        now = until;
    }

    public void advanceMillis(long millis) {
        advance(Duration.ofMillis(millis));
    }

    /** Sets the error of the wall clock. The monotonic clock, the timers and {@link #now} are unaffected. */
    public void setClockAhead(Duration by) {
        error = by;
    }

    /** Returns by how much the wall clock is ahead of the true time. */
    public Duration error() {
        return error;
    }

    /** Returns the number of tasks that have neither run nor been cancelled. */
    public int pending() {
        return tasks.size();
    }

    @Override
    public Timer schedule(Duration delay, Runnable task) {
        Task scheduledTask = new Task(now.plus(delay), scheduled++, task);
        tasks.add(scheduledTask);
        return () -> tasks.remove(scheduledTask);
    }

    public Clock clock() {
        return new Clock() {

            @Override
            public ZoneId getZone() {
                return ZoneOffset.UTC;
            }

            @Override
            public Clock withZone(ZoneId zone) {
                throw new UnsupportedOperationException();
            }

            @Override
            public Instant instant() {
                return now.plus(error);
            }
        };
    }

    public LongSupplier nanos() {
        return () -> elapsed().toNanos();
    }

    /** Has identity equality, so that cancelling removes exactly this task. */
    private static final class Task {

        private final Instant due;
        private final long number;
        private final Runnable task;

        Task(Instant due, long number, Runnable task) {
            this.due = due;
            this.number = number;
            this.task = task;
        }

        Instant due() {
            return due;
        }

        long number() {
            return number;
        }
    }
}
