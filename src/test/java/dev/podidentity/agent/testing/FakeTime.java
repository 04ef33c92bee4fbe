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

/** Time that stands still until a test advances it, and the timers that go with it. */
public final class FakeTime implements Timers {

    public static final Instant START = Instant.parse("2026-01-01T00:00:00Z");

    private final PriorityQueue<Task> tasks =
            new PriorityQueue<>(Comparator.comparing(Task::due).thenComparing(Task::number));
    private Instant now = START;
    /** How far the wall clock is ahead of the true time. */
    private Duration error = Duration.ZERO;
    private long scheduled;

    public Instant now() {
        return now;
    }

    public Duration elapsed() {
        return Duration.between(START, now);
    }

    /** Runs what falls due in that time, each task at its own time, and those that they schedule. */
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

    /** Sets the wall clock wrong, or right again. The monotonic clock, timers and {@link #now} go on as before. */
    public void setClockAhead(Duration by) {
        error = by;
    }

    /** How far the wall clock is ahead of the true time. */
    public Duration error() {
        return error;
    }

    /** How many tasks have neither run nor been cancelled. */
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

    /** Equal only to itself, so that cancelling takes out this very task. */
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
