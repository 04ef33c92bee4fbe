package dev.podidentity.agent;

import dev.podidentity.emulator.EksAuthEmulator;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** The agent's own credentials in a shared credentials file, which may be incomplete. */
final class CredentialsFile {

    private static final String SECRET_KEY = "aws_secret_access_key = ";

    private final Path path;
    private final String whole;

    CredentialsFile(Path path, EksAuthEmulator eksAuth) throws IOException {
        this.path = path;
        this.whole = "[default]\naws_access_key_id = " + eksAuth.accessKeyId() + '\n' + SECRET_KEY
                + eksAuth.secretAccessKey() + '\n';
        writeAll();
    }

    Path path() {
        return path;
    }

    void writeAll() throws IOException {
        Files.writeString(path, whole);
    }

    /** Writes the file as if it ended before the secret key. */
    void writeWithoutSecretKey() throws IOException {
        Files.writeString(path, whole.substring(0, whole.indexOf(SECRET_KEY) + SECRET_KEY.length() / 2));
    }

    /** Writes the file as if it ended within the secret key: it looks complete, but EKS Auth rejects the credentials. */
    void writeHalfOfTheSecretKey() throws IOException {
        Files.writeString(path, whole.substring(0, whole.indexOf(SECRET_KEY) + SECRET_KEY.length() + 20));
    }
}
