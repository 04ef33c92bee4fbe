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
 * Writes log lines without ever making the thread that logs wait for whoever reads them. A line is formatted by the
 * thread that logs it and put in a queue, from which one thread writes; so lines keep their order. When the queue is full
 * lines are dropped and counted until it is half empty again, and a warning stands where they are missing.
 *
 * <p>The queue is bounded by the number and by the size of its lines, the one that is being written included. The thread
 * that writes is started by the first line. Any thread.
 */
final class QueuedConsole extends ExtHandler {

    static final int MOST_LINES = 2_000;
    /** The rest is for the queue's own array, twice while it grows, and for a warning. */
    static final int MOST_BYTES = Logging.MOST_HEAP_BYTES - 64 * 1024;
    /** What a line takes beside its text: the header of its array, rounded up. */
    static final int OVERHEAD = 24;

    private final OutputStream out;
    private final LogLineFormatter lineFormatter;

    private final ReentrantLock queueLock = new ReentrantLock();
    private final Condition wanted = queueLock.newCondition();
    private final Condition allWritten = queueLock.newCondition();
    // Guarded by queueLock, which nobody holds while they write.
    private final ArrayDeque<byte[]> lines = new ArrayDeque<>();
    /** Of the lines in the queue and of the one that is being written. */
    private int bytes;
    private boolean writing;
    private boolean dropping;
    private long missing;
    private long dropped;
    private Thread writer;
    private long patienceNanos;

    /**
     * @param patience how long {@link #close} waits, in all, for what is still to be written
     */
    QueuedConsole(OutputStream out, LogLineFormatter lineFormatter, Duration patience) {
        this.out = out;
        this.lineFormatter = lineFormatter;
        this.patienceNanos = patience.toNanos();
        setFormatter(lineFormatter);
    }

    /** How many lines were dropped so far. */
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

    /** Drops a line that need not even be formatted. */
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

    /** Not as soon as one line fits, or there would be a warning for each. */
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
            // It may be stuck in a write for ever, and must not keep the process.
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
            // Nobody will ever read it, and there is no other place to say so.
            return false;
        }
    }

    /** Does nothing: lines are written as soon as they can be, and this is called after each one. */
    @Override
    public void flush() {}

    /**
     * Waits for the lines to be written, but not for long: perhaps nobody reads them. Quarkus closes the log when it stops, and
     * may log after that: lines are still written then.
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
