package dev.podidentity.agent.observe;

import static org.assertj.core.api.Assertions.assertThat;

import io.vertx.core.json.JsonObject;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jboss.logmanager.ExtLogRecord;
import org.jboss.logmanager.Level;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class QueuedConsoleTest {

    private static final String DROPPED = "Log lines were dropped here, because standard output was not read";

    private final Reader reader = new Reader();
    private final QueuedConsole console = console(Duration.ofMinutes(1));

    private QueuedConsole console(Duration patience) {
        return new QueuedConsole(reader, new LogLineFormatter(true), patience);
    }

    @Test
    void writesAllLinesInTheirOrder() {
        log(0, 1_000);

        console.close();
        assertThat(reader.messages()).isEqualTo(messages(0, 1_000));
        assertThat(console.dropped()).isZero();
    }

    @Test
    void startsItsThreadWithTheFirstLine() {
        // Given
        Set<Thread> before = threads();
        QueuedConsole silent = console(Duration.ZERO);
        assertThat(threads()).isEqualTo(before);

        // When
        silent.publish(record("first"));
        silent.publish(record("second"));

        // Then
        assertThat(threads()).hasSize(before.size() + 1);
    }

    @Test
    void makesNobodyWaitForAReaderThatReadsNothing() {
        // Given
        reader.stops();
        log(0, 1);
        reader.awaitStuck();

        // When
        log(1, QueuedConsole.MOST_LINES + 500);

        // Then: one line is being written, and the queue is full
        assertThat(console.dropped()).isEqualTo(500);
    }

    @Test
    void saysWhereLinesAreMissingAndHowMany() {
        // Given
        reader.stops();
        log(0, 1);
        reader.awaitStuck();
        log(1, QueuedConsole.MOST_LINES + 7);

        // When
        reader.goesOn();
        console.close();
        log(5_000, 2);
        console.close();

        // Then
        List<String> lines = reader.messages();
        assertThat(lines.subList(0, QueuedConsole.MOST_LINES + 1)).isEqualTo(messages(0, QueuedConsole.MOST_LINES + 1));
        assertThat(lines.subList(QueuedConsole.MOST_LINES + 1, lines.size())).containsExactly(DROPPED, "line 5000", "line 5001");
        JsonObject warning = reader.line(QueuedConsole.MOST_LINES + 1);
        assertThat(warning.getInteger("dropped")).isEqualTo(7);
        assertThat(warning.getString("level")).isEqualTo("warning");
    }

    @Test
    void warnsOnceForAnOverflowHoweverSlowlyLinesAreRead() {
        // Given
        reader.stops();
        log(0, 1);
        reader.awaitStuck();
        log(1, QueuedConsole.MOST_LINES + 1);
        assertThat(console.dropped()).isOne();

        // When: a new line arrives for each line that is read
        for (int i = 0; i < QueuedConsole.MOST_LINES / 2 - 1; i++) {
            reader.readsOne();
            log(10_000 + i, 1);
        }

        // Then: none of the new lines is queued yet, so there is no warning either
        assertThat(console.dropped()).isEqualTo(QueuedConsole.MOST_LINES / 2);
        reader.goesOn();
        console.close();
        assertThat(reader.messages()).filteredOn(DROPPED::equals).hasSize(1);
    }

    @Test
    void boundsTheSizeOfWhatWaitsAndNotTheNumberAlone() {
        // Given
        reader.stops();
        log(0, 1);
        reader.awaitStuck();
        String large = "x".repeat(10_000);

        // When
        IntStream.range(0, 100).forEach(i -> console.publish(record(large)));

        // Then
        int fitting = QueuedConsole.MOST_BYTES / (large.length() + 200);
        assertThat(100 - console.dropped()).isBetween((long) fitting, QueuedConsole.MOST_BYTES / (long) large.length());
    }

    @Test
    void dropsALineThatIsLargerThanTheWholeQueueAndGoesOn() {
        console.publish(record("x".repeat(QueuedConsole.MOST_BYTES)));
        log(0, 1);

        console.close();
        assertThat(reader.messages()).containsExactly(DROPPED, "line 0");
        assertThat(console.dropped()).isOne();
    }

    @Test
    void countsLinesThatNobodyCanReadAnyMore() {
        reader.goesAway();

        log(0, 3);

        console.close();
        assertThat(console.dropped()).isEqualTo(3);
    }

    @Test
    void doesNotWaitForEverForTheLastLines() {
        // Given
        QueuedConsole impatient = console(Duration.ofMillis(10));
        reader.stops();
        impatient.publish(record("last"));

        // When
        impatient.close();

        // Then
        assertThat(reader.messages()).isEmpty();
    }

    @Test
    void doesNotWaitForTheReaderWhenItIsToldToFlush() {
        reader.stops();
        log(0, 1);

        console.flush();

        assertThat(reader.messages()).isEmpty();
    }

    private void log(int first, int count) {
        messages(first, count).forEach(message -> console.publish(record(message)));
    }

    private static List<String> messages(int first, int count) {
        return IntStream.range(first, first + count).mapToObj(i -> "line " + i).toList();
    }

    private static ExtLogRecord record(String message) {
        ExtLogRecord record = new ExtLogRecord(Level.INFO, message, QueuedConsoleTest.class.getName());
        record.setLoggerName("dev.podidentity.agent.Test");
        return record;
    }

    private static Set<Thread> threads() {
        return Thread.getAllStackTraces().keySet().stream()
                .filter(thread -> thread.getName().equals("log"))
                .collect(Collectors.toSet());
    }

    /** Simulates standard output and its reader. */
    private static final class Reader extends OutputStream {

        private final ByteArrayOutputStream read = new ByteArrayOutputStream();
        private final CountDownLatch stuck = new CountDownLatch(1);
        private boolean reads = true;
        private boolean there = true;
        private int may;
        private int writes;

        @Override
        public void write(int b) {
            throw new UnsupportedOperationException();
        }

        @Override
        public synchronized void write(byte[] bytes, int offset, int length) throws IOException {
            if (!there) {
                throw new IOException("Broken pipe");
            }
            while (!reads && may == 0) {
                stuck.countDown();
                notifyAll();
                await();
            }
            may = Math.max(0, may - 1);
            read.write(bytes, offset, length);
            writes++;
            notifyAll();
        }

        private void await() {
            try {
                wait();
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
        }

        synchronized void stops() {
            reads = false;
        }

        synchronized void goesOn() {
            reads = true;
            notifyAll();
        }

        synchronized void goesAway() {
            there = false;
        }

        /** Reads one line and waits until it has been written. */
        synchronized void readsOne() {
            int before = writes;
            may = 1;
            notifyAll();
            while (writes == before) {
                await();
            }
        }

        void awaitStuck() {
            try {
                stuck.await();
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
        }

        synchronized List<String> messages() {
            return lines().stream().map(line -> line.getString("msg")).toList();
        }

        synchronized JsonObject line(int index) {
            return lines().get(index);
        }

        private List<JsonObject> lines() {
            return read.toString(StandardCharsets.UTF_8).lines().map(JsonObject::new).toList();
        }
    }
}
