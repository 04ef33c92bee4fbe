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

/** Brings the log into the configured shape. */
public final class Logging {

    /** What the lines that wait for a reader take of the heap at the most. */
    public static final int MOST_HEAP_BYTES = 512 * 1024;

    /** The agent's own log. Those of the libraries stay at INFO or above: at TRACE they would write what goes over the wire. */
    private static final String AGENT = "dev.podidentity";

    /** What the last lines get at a stop: a reader that is there takes milliseconds. */
    private static final Duration LAST_LINES = Duration.ofSeconds(1);

    private Logging() {}

    /**
     * Sets the format of the log and the level of the agent's own, and lets nobody who logs wait for standard output.
     *
     * @return how many lines were dropped so far, as standard output was not read
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

    /** Lets the last lines be written before the process ends. Waits for a second at most. */
    public static void finish() {
        for (Handler handler : InitialConfigurator.DELAYED_HANDLER.getHandlers()) {
            if (handler instanceof QueuedConsole) {
                handler.close();
            }
        }
    }
}
