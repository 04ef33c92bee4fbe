package dev.podidentity.image;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Date;
import java.util.List;
import java.util.Optional;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.junit.jupiter.api.Test;

/** Reads the archive of a small image as a container engine does. */
class ImageTest {

    private static final Instant CREATED = Instant.parse("2026-01-02T03:04:05Z");
    private static final byte[] PROGRAM = "program".getBytes(StandardCharsets.UTF_8);
    private static final byte[] LIBRARY = "library".getBytes(StandardCharsets.UTF_8);

    @Test
    void namesItsContentByDigestAndSize() {
        // When
        OciLayout layout = OciLayout.read(image().archive());

        // Then
        assertThat(layout.index().getJsonObject("platform").getMap())
                .containsEntry("architecture", "arm64")
                .containsEntry("os", "linux");
        assertThat(layout.index().getJsonObject("annotations").getString("org.opencontainers.image.ref.name")).isEqualTo("1.2.3");
        assertThat(layout.config().getString("architecture")).isEqualTo("arm64");
        assertThat(layout.config().getString("os")).isEqualTo("linux");
        assertThat(layout.config().getString("created")).isEqualTo("2026-01-02T03:04:05Z");
    }

    @Test
    void runsTheExecutableAsNobodyInParticular() {
        // When
        OciLayout layout = OciLayout.read(image().archive());

        // Then
        assertThat(layout.runtime().getString("User")).isEqualTo("65532:65532");
        assertThat(layout.runtime().getJsonArray("Entrypoint")).containsExactly("/eks-pod-identity-agent");
        assertThat(layout.runtime().containsKey("Cmd")).isFalse();
    }

    @Test
    void saysWhatItIs() {
        // When
        OciLayout layout = OciLayout.read(image().archive());

        // Then
        assertThat(layout.runtime().getJsonObject("Labels").getMap())
                .containsEntry("org.opencontainers.image.version", "1.2.3")
                .containsEntry("org.opencontainers.image.revision", "abc")
                .containsEntry("org.opencontainers.image.created", "2026-01-02T03:04:05Z")
                .containsEntry("dev.podidentity.image.glibc", "GLIBC 2.36")
                .containsKeys("org.opencontainers.image.title", "org.opencontainers.image.description",
                        "org.opencontainers.image.licenses");
        assertThat(layout.manifest().getJsonObject("annotations")).isEqualTo(layout.runtime().getJsonObject("Labels"));
    }

    @Test
    void leavesOutWhatIsNotKnown() {
        // Given
        Image image = new Image(layer(), "amd64", "1.2.3", CREATED, Optional.empty(), Optional.empty());

        // Then
        assertThat(image.labels()).doesNotContainKeys("org.opencontainers.image.revision", "dev.podidentity.image.glibc");
    }

    @Test
    void isFoundByDockerToo() {
        // When
        OciLayout layout = OciLayout.read(image().archive());

        // Then
        assertThat(layout.forDocker()).hasSize(1);
        assertThat(layout.forDocker().getJsonObject(0).getString("Config"))
                .isEqualTo("blobs/" + layout.manifest().getJsonObject("config").getString("digest").replace(':', '/'));
        assertThat(layout.forDocker().getJsonObject(0).getJsonArray("Layers")).containsExactly(
                "blobs/" + layout.manifest().getJsonArray("layers").getJsonObject(0).getString("digest").replace(':', '/'));
        assertThat(layout.forDocker().getJsonObject(0).getJsonArray("RepoTags")).containsExactly("eks-pod-identity-agent:1.2.3");
    }

    @Test
    void holdsItsFilesAndTheirDirectoriesInOrder() {
        // When
        OciLayout layout = OciLayout.read(image().archive());

        // Then
        assertThat(layout.entries().keySet())
                .containsExactly("eks-pod-identity-agent", "etc/", "etc/settings", "go-runner", "lib/", "lib/some/", "lib/some/library");
        assertThat(layout.entries().get("eks-pod-identity-agent").getMode() & 0777).isEqualTo(0755);
        assertThat(layout.entries().get("lib/some/library").getMode() & 0777).isEqualTo(0755);
        assertThat(layout.entries().get("go-runner").isSymbolicLink()).isTrue();
        assertThat(layout.entries().get("go-runner").getLinkName()).isEqualTo("eks-pod-identity-agent");
        assertThat(layout.entries().get("etc/settings").getMode() & 0777).isEqualTo(0644);
        assertThat(layout.entries().get("etc/").isDirectory()).isTrue();
        assertThat(layout.entries().get("etc/").getMode() & 0777).isEqualTo(0755);
        assertThat(layout.entries().get("lib/some/library").getSize()).isEqualTo(LIBRARY.length);
    }

    @Test
    void givesItsFilesToRootByNumberAndOneTime() {
        assertThat(OciLayout.read(image().archive()).entries().values()).allSatisfy(entry -> {
            assertThat(entry.getLongUserId()).isZero();
            assertThat(entry.getLongGroupId()).isZero();
            assertThat(entry.getUserName()).isEmpty();
            assertThat(entry.getGroupName()).isEmpty();
            assertThat(entry.getModTime()).isEqualTo(Date.from(CREATED));
        });
    }

    @Test
    void givesTheCapabilityToTheExecutableOnly() {
        // When
        var entries = OciLayout.read(image().archive()).entries();

        // Then
        TarArchiveEntry executable = entries.remove("eks-pod-identity-agent");
        assertThat(executable.getExtraPaxHeader("SCHILY.xattr.security.capability").getBytes(StandardCharsets.UTF_8))
                .isEqualTo(FileCapability.attribute());
        assertThat(entries.values()).allSatisfy(entry -> assertThat(entry.getExtraPaxHeaders()).isEmpty());
    }

    @Test
    void isTheSameToTheByteWhenItIsMadeAgain() {
        assertThat(image().archive()).isEqualTo(image().archive());
    }

    private static Image image() {
        return new Image(layer(), "arm64", "1.2.3", CREATED, Optional.of("abc"), Optional.of("GLIBC 2.36"));
    }

    private static Layer layer() {
        return Layer.of(
                List.of(Layer.Item.executable("/lib/some/library", LIBRARY),
                        Layer.Item.link(Image.GO_RUNNER, "eks-pod-identity-agent"),
                        Layer.Item.text("/etc/settings", "a: b\n"),
                        Layer.Item.withCapability(Image.EXECUTABLE, PROGRAM)),
                CREATED);
    }
}
