package dev.podidentity.agent.observe;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.Properties;

/**
 * Identifies this build.
 *
 * @param version the version in the POM
 */
public record BuildInfo(String version) {

    private static final String RESOURCE = "/dev/podidentity/agent/build.properties";

    /** Reads what the build wrote into the artifact. */
    public static BuildInfo current() {
        Properties properties = new Properties();
        try (InputStream resource = BuildInfo.class.getResourceAsStream(RESOURCE)) {
            if (resource == null) {
                throw new IllegalStateException(RESOURCE + " is missing from the artifact");
            }
            properties.load(resource);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return new BuildInfo(properties.getProperty("version"));
    }

    @Override
    public String toString() {
        return version;
    }
}
