package dev.podidentity.agent.observe;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.logging.Level;
import org.jboss.logmanager.ExtHandler;
import org.jboss.logmanager.ExtLogRecord;

/**
 * Writes log lines without blocking the logging thread when standard output is read slowly. The logging thread formats the
 * line and puts it in a queue; a single thread writes the queue, so lines keep their order. When the queue is full, lines
 * are dropped and counted until it is half empty again, and a warning takes their place.
 *
 * <p>The number and the size of the queued lines are bounded, including the line being written. The writing thread starts
 * with the first line. Any thread.
 */
final class QueuedConsole extends ExtHandler {

    static final int MOST_LINES = 2_000;
    /** The rest is for the queue's own array, twice while it grows, and for a warning. */
    static final int MOST_BYTES = Logging.MOST_HEAP_BYTES - 64 * 1024;
    /** The memory of a line besides its text: the header of its array, rounded up. */
    static final int OVERHEAD = 24;

    private final OutputStream out;
    private final LogLineFormatter lineFormatter;

    private final ReentrantLock queueLock = new ReentrantLock();
    private final Condition wanted = queueLock.newCondition();
    private final Condition allWritten = queueLock.newCondition();
    // Guarded by queueLock, which is not held during a write.
    private final ArrayDeque<byte[]> lines = new ArrayDeque<>();
    /** The size of the queued lines and of the line being written. */
    private int bytes;
    private boolean writing;
    private boolean dropping;
    private long missing;
    private long dropped;
    private Thread writer;
    private long patienceNanos;

    /** @param patience how long {@link #close} waits, in total, for lines that are not yet written */
    QueuedConsole(OutputStream out, LogLineFormatter lineFormatter, Duration patience) {
        this.out = out;
        this.lineFormatter = lineFormatter;
        this.patienceNanos = patience.toNanos();
        setFormatter(lineFormatter);
    }

    /** Returns the number of lines dropped so far. */
    long dropped() {
        queueLock.lock();
        try {
            return dropped;
        } finally {
            queueLock.unlock();
        }
    }

    @Override
    protected void doPublish(ExtLogRecord record) {
        if (dropsAnyway()) {
            return;
        }
        byte[] line = getFormatter().format(record).getBytes(StandardCharsets.UTF_8);
        queueLock.lock();
        try {
            if (dropping && hasRoomAgain()) {
                warn();
            }
            if (dropping || !fits(line)) {
                drop();
            } else {
                add(line);
            }
        } finally {
            queueLock.unlock();
        }
    }

    /** Drops a line without formatting it, if the queue is full. */
    private boolean dropsAnyway() {
        queueLock.lock();
        try {
            boolean full = dropping && !hasRoomAgain();
            if (full) {
                drop();
            }
            return full;
        } finally {
            queueLock.unlock();
        }
    }

    private boolean fits(byte[] line) {
        return lines.size() < MOST_LINES && bytes + line.length + OVERHEAD <= MOST_BYTES;
    }

    /** Waits until the queue is half empty; otherwise there would be a warning for each line that fits. */
    private boolean hasRoomAgain() {
        return lines.size() <= MOST_LINES / 2 && bytes <= MOST_BYTES / 2;
    }

    private void drop() {
        dropping = true;
        missing++;
        dropped++;
    }

    private void warn() {
        dropping = false;
        String line = lineFormatter.format(
                Level.WARNING,
                "Log lines were dropped here, because standard output was not read",
                List.of(Field.of("dropped", missing)),
                QueuedConsole.class.getName());
        missing = 0;
        add(line.getBytes(StandardCharsets.UTF_8));
    }

    private void add(byte[] line) {
        lines.add(line);
        bytes += line.length + OVERHEAD;
        if (writer == null) {
            writer = new Thread(this::writeAll, "log");
            // A daemon, because it may block in a write forever and must not keep the process alive.
            writer.setDaemon(true);
            writer.start();
        } else {
            wanted.signal();
        }
    }

    private void writeAll() {
        while (true) {
            byte[] line = next();
            boolean written = write(line);
            queueLock.lock();
            try {
                writing = false;
                bytes -= line.length + OVERHEAD;
                if (!written) {
                    dropped++;
                }
            } finally {
                queueLock.unlock();
            }
        }
    }

    private byte[] next() {
        queueLock.lock();
        try {
            while (lines.isEmpty()) {
                if (dropping) {
                    warn();
                } else {
                    allWritten.signalAll();
                    wanted.awaitUninterruptibly();
                }
            }
            writing = true;
            return lines.remove();
        } finally {
            queueLock.unlock();
        }
    }

    private boolean write(byte[] line) {
        try {
            out.write(line);
            return true;
        } catch (IOException e) {
            // The reader is gone, and there is nowhere else to report it.
            return false;
        }
    }

    /** Does nothing: lines are written as soon as possible, and this is called after each line. */
    @Override
    public void flush() {}

    /**
     * Waits briefly for the lines to be written, because they may have no reader. Quarkus closes the log at shutdown and may
     * log afterwards; such lines are still written.
     */
    @Override
    public void close() {
        queueLock.lock();
        try {
            while ((writing || dropping || !lines.isEmpty()) && patienceNanos > 0) {
                patienceNanos = allWritten.awaitNanos(patienceNanos);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } finally {
            queueLock.unlock();
        }
    }
}
