package dev.podidentity.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import io.vertx.core.json.JsonObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** The product's list of components. */
class SbomIT {

    private static final Path SBOM =
            Path.of(System.getProperty("agent.sbom", "target/eks-pod-identity-agent-sbom.json"));

    @Test
    void namesWhatTheProductIsMadeOfWithPurlAndHash() throws IOException {
        // When
        List<JsonObject> libraries = libraries();

        // Then
        assertThat(libraries).extracting(library -> library.getString("group") + ':' + library.getString("name")).contains(
                "software.amazon.awssdk:eksauth", "software.amazon.awssdk:netty-nio-client", "io.vertx:vertx-core",
                "io.netty:netty-handler", "info.picocli:picocli", "io.smallrye:smallrye-jwt",
                "io.quarkus:quarkus-vertx-http", "io.quarkus:quarkus-kubernetes-client", "io.micrometer:micrometer-core");
        assertThat(libraries).allSatisfy(library -> {
            assertThat(library.getString("purl")).startsWith("pkg:maven/" + library.getString("group") + '/'
                    + library.getString("name") + '@' + library.getString("version"));
            assertThat(library.getJsonArray("hashes").stream().map(hash -> ((JsonObject) hash).getString("alg")))
                    .contains("SHA-256");
        });
    }

    @Test
    void namesNothingThatIsThereForTestsOrForTheBuild() throws IOException {
        assertThat(libraries()).extracting(library -> library.getString("name")).noneMatch(name ->
                name.startsWith("junit") || name.startsWith("assertj") || name.startsWith("jazzer")
                        || name.equals("kubernetes-model-apps") || name.equals("kubernetes-server-mock")
                        || name.startsWith("quarkus-junit")
                        || name.equals("commons-compress") || name.equals("smallrye-jwt-build")
                        || name.endsWith("-deployment"));
    }

    @Test
    void namesEveryJarOfTheProductAndNoOther() throws IOException {
        // Given
        Path jars = Path.of(System.getProperty("agent.jar", "target/quarkus-app/quarkus-run.jar")).resolveSibling("lib");
        assumeThat(System.getProperty("agent.executable")).as("a native build makes no jars").isNull();

        // When
        Set<String> listed = libraries().stream()
                .map(library -> library.getString("group") + '.' + library.getString("name") + '-' + library.getString("version"))
                .collect(Collectors.toSet());

        // Then
        try (Stream<Path> files = Files.walk(jars)) {
            // Netty's native libraries have a classifier after the version.
            Set<String> shipped = files.map(file -> file.getFileName().toString())
                    .filter(name -> name.endsWith(".jar"))
                    .map(name -> name.replaceFirst("(-linux-\\w+|)\\.jar$", ""))
                    .collect(Collectors.toSet());
            assertThat(listed).isEqualTo(shipped);
        }
    }

    private static List<JsonObject> libraries() throws IOException {
        JsonObject sbom = new JsonObject(Files.readString(SBOM));
        assertThat(sbom.getString("bomFormat")).isEqualTo("CycloneDX");
        return sbom.getJsonArray("components").stream()
                .map(JsonObject.class::cast)
                .filter(component -> component.getString("type").equals("library"))
                .toList();
    }
}
