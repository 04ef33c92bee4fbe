package dev.podidentity.agent.credentials;

import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.util.Comparator;
import java.util.PriorityQueue;
import java.util.function.LongSupplier;

/** Time that stands still until a test advances it, and the timers that go with it. */
final class FakeTime implements Timers {

    static final Instant START = Instant.parse("2026-01-01T00:00:00Z");

    private final PriorityQueue<Task> tasks =
            new PriorityQueue<>(Comparator.comparing(Task::due).thenComparing(Task::number));
    private Instant now = START;
    private long scheduled;

    Instant now() {
        return now;
    }

    Duration elapsed() {
        return Duration.between(START, now);
    }

    /** Runs what falls due in that time, each task at its own time, and those that they schedule. */
    void advance(Duration duration) {
        Instant until = now.plus(duration);
        while (!tasks.isEmpty() && !tasks.peek().due.isAfter(until)) {
            Task next = tasks.remove();
            now = next.due;
            next.task.run();
        }
        now = until;
    }

    void advanceMillis(long millis) {
        advance(Duration.ofMillis(millis));
    }

    /** How many tasks have neither run nor been cancelled. */
    int pending() {
        return tasks.size();
    }

    @Override
    public Timer schedule(Duration delay, Runnable task) {
        Task scheduledTask = new Task(now.plus(delay), scheduled++, task);
        tasks.add(scheduledTask);
        return () -> tasks.remove(scheduledTask);
    }

    Clock clock() {
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
                return now;
            }
        };
    }

    LongSupplier nanos() {
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
