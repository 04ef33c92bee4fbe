package dev.podidentity.agent.testing;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.jboss.logmanager.ExtHandler;
import org.jboss.logmanager.ExtLogRecord;

/** Captures the level, message and fields of what one class logs at INFO and above, until closed. */
public final class LogLines extends ExtHandler {

    private final Logger logger;
    private final List<String> lines = new CopyOnWriteArrayList<>();

    public LogLines(Class<?> type) {
        logger = Logger.getLogger(type.getName());
        logger.addHandler(this);
    }

    /** Returns the lines so far, such as {@code WARN A message [key=value]}. */
    public List<String> all() {
        return List.copyOf(lines);
    }

    @Override
    protected void doPublish(ExtLogRecord record) {
        if (record.getLevel().intValue() >= Level.INFO.intValue()) {
            List<Object> parameters = new ArrayList<>();
            if (record.getParameters() != null) {
                parameters.addAll(Arrays.asList(record.getParameters()));
            }
            lines.add(record.getLevel() + " " + record.getMessage() + " " + parameters);
        }
    }

    @Override
    public void close() {
        logger.removeHandler(this);
    }
}
