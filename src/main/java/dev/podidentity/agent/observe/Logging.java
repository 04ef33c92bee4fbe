package dev.podidentity.agent.observe;

import dev.podidentity.agent.config.AgentConfig;
import dev.podidentity.agent.config.LogFormat;
import io.quarkus.bootstrap.logging.InitialConfigurator;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.time.Duration;
import java.util.function.LongSupplier;
import java.util.logging.Handler;
import org.jboss.logmanager.Level;
import org.jboss.logmanager.LogContext;
import org.jboss.logmanager.Logger;
import org.jboss.logmanager.handlers.ConsoleHandler;

/** Configures the log. */
public final class Logging {

    /** The maximum heap for buffered lines. */
    public static final int MOST_HEAP_BYTES = 512 * 1024;

    /**
     * The agent's own category. Libraries stay at INFO or above, because at TRACE they would log what they send and receive.
     */
    private static final String AGENT = "dev.podidentity";

    /** The wait for the last lines at shutdown; an active reader takes milliseconds. */
    private static final Duration LAST_LINES = Duration.ofSeconds(1);

    private Logging() {}

    /**
     * Sets the log format and the agent's own log level, and ensures that logging never waits for standard output.
     *
     * @return the number of lines dropped so far because standard output was not read
     */
    public static LongSupplier configure(AgentConfig config) {
        LogLineFormatter formatter = new LogLineFormatter(config.logFormat() == LogFormat.JSON);
        QueuedConsole console = new QueuedConsole(new FileOutputStream(FileDescriptor.out), formatter, LAST_LINES);
        Handler[] handlers = InitialConfigurator.DELAYED_HANDLER.getHandlers();
        for (int i = 0; i < handlers.length; i++) {
            if (handlers[i] instanceof ConsoleHandler replaced) {
                console.setLevel(replaced.getLevel());
                console.setFilter(replaced.getFilter());
                console.setErrorManager(replaced.getErrorManager());
                handlers[i] = console;
            }
        }
        InitialConfigurator.DELAYED_HANDLER.setHandlers(handlers);
        java.util.logging.Level level = LogContext.getLogContext().getLevelForName(config.verbosity().logLevel());
        Logger.getLogger(AGENT).setLevel(level);
        if (level.intValue() > Level.INFO.intValue()) {
            Logger.getLogger("").setLevel(level);
        }
        return console::dropped;
    }

    /** Waits up to a second until the last lines are written, before the process ends. */
    public static void finish() {
        for (Handler handler : InitialConfigurator.DELAYED_HANDLER.getHandlers()) {
            if (handler instanceof QueuedConsole) {
                handler.close();
            }
        }
    }
}
