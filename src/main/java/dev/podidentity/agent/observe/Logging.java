package dev.podidentity.agent.observe;

import dev.podidentity.agent.config.AgentConfig;
import dev.podidentity.agent.config.LogFormat;
import java.util.logging.Handler;
import org.jboss.logmanager.Level;
import org.jboss.logmanager.LogContext;
import org.jboss.logmanager.Logger;
import org.jboss.logmanager.handlers.ConsoleHandler;
import io.quarkus.bootstrap.logging.InitialConfigurator;

/** Brings the log into the configured shape. */
public final class Logging {

    /** The agent's own log. Those of the libraries stay at INFO or above: at TRACE they would write what goes over the wire. */
    private static final String AGENT = "dev.podidentity";

    private Logging() {}

    /** Sets the format of the console and the level of the agent's own log. */
    public static void configure(AgentConfig config) {
        LogLineFormatter formatter = new LogLineFormatter(config.logFormat() == LogFormat.JSON);
        for (Handler handler : InitialConfigurator.DELAYED_HANDLER.getHandlers()) {
            if (handler instanceof ConsoleHandler) {
                handler.setFormatter(formatter);
            }
        }
        java.util.logging.Level level = LogContext.getLogContext().getLevelForName(config.verbosity().logLevel());
        Logger.getLogger(AGENT).setLevel(level);
        if (level.intValue() > Level.INFO.intValue()) {
            Logger.getLogger("").setLevel(level);
        }
    }
}
