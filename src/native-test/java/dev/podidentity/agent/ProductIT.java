package dev.podidentity.agent;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** What is in the artifact that ships, and what is not. */
class ProductIT {

    @Test
    void theProductHoldsNothingOfTheEmulator() throws IOException {
        // Given
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

        // Then
        assertThat(entries).anyMatch(name -> name.equals("dev/podidentity/agent/Main.class"));
        assertThat(entries).noneMatch(name -> name.contains("emulator") || name.contains("associations.yaml"));
        assertThat(entries).noneMatch(name -> name.contains("jose4j") || name.contains("snakeyaml")
                || name.contains("smallrye-jwt") || name.contains("jazzer"));
        assertThat(entries).noneMatch(name -> name.startsWith("dev/podidentity/image/") || name.contains("commons-compress")
                || name.contains("kubernetes-model") || name.contains("cyclonedx"));
    }
}
