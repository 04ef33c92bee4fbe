package dev.podidentity.agent.credentials;

import java.util.logging.Level;
import java.util.logging.Logger;
import org.junit.jupiter.api.extension.AfterAllCallback;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/** Turns the log off while the tests of one class run, because they make thousands of calls that would each write a line. */
final class QuietLog implements BeforeAllCallback, AfterAllCallback {

    private final Logger logger = Logger.getLogger("dev.podidentity.agent");
    private Level before;

    @Override
    public void beforeAll(ExtensionContext context) {
        before = logger.getLevel();
        logger.setLevel(Level.OFF);
    }

    @Override
    public void afterAll(ExtensionContext context) {
        logger.setLevel(before);
    }
}
