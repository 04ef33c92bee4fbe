package dev.podidentity.agent;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** What the shipped artifact contains, and what it must not. */
class ProductIT {

    /** Names from the emulator and its own dependencies, from the build, and from the tests. */
    private static final List<String> FOREIGN = List.of(
            "dev/podidentity/emulator/", "associations.yaml",
            "io/smallrye/jwt/build", "smallrye-jwt-build", "dev/podidentity/image/", "org/apache/commons/compress", "commons-compress",
            "kubernetes-model-apps", "kubernetes-server-mock", "cyclonedx", "jazzer",
            "org/junit/", "org/assertj", "archunit", "io/restassured", "hamcrest");

    @Test
    void theProductHoldsNothingOfTheEmulatorOrTheTests() throws IOException {
        // Given
        String executable = System.getProperty("agent.executable");

        // When
        String content = executable == null ? entries() : bytes(Path.of(executable));

        // Then
        assertThat(content.contains("dev/podidentity/agent/Main")).isTrue();
        assertThat(FOREIGN).noneMatch(content::contains);
    }

    /** Returns the names of the application's jars and of everything in them. */
    private static String entries() throws IOException {
        Path application = Path.of(System.getProperty("agent.jar", "target/quarkus-app/quarkus-run.jar")).getParent();
        List<String> entries = new ArrayList<>();
        try (Stream<Path> files = Files.walk(application)) {
            for (Path jar : files.filter(file -> file.toString().endsWith(".jar")).toList()) {
                entries.add(jar.getFileName().toString());
                try (JarFile content = new JarFile(jar.toFile())) {
                    content.stream().map(JarEntry::getName).forEach(entries::add);
                }
            }
        }
        return String.join("\n", entries);
    }

    /** Returns all bytes, and once more with class names in the form of file names. */
    private static String bytes(Path executable) throws IOException {
        String content = Files.readString(executable, StandardCharsets.ISO_8859_1);
        assertThat(content.contains("emulated-")).as("what the emulator's secrets begin with").isFalse();
        return content + content.replace('.', '/');
    }
}
