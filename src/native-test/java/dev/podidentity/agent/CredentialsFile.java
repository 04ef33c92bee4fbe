package dev.podidentity.agent;

import dev.podidentity.emulator.EksAuthEmulator;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** The agent's own credentials in a shared credentials file, which may be half written. */
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

    /** As if it ended before the secret key. */
    void writeWithoutSecretKey() throws IOException {
        Files.writeString(path, whole.substring(0, whole.indexOf(SECRET_KEY) + SECRET_KEY.length() / 2));
    }

    /** As if it ended within the secret key: what is there looks good, and EKS Auth does not accept it. */
    void writeHalfOfTheSecretKey() throws IOException {
        Files.writeString(path, whole.substring(0, whole.indexOf(SECRET_KEY) + SECRET_KEY.length() + 20));
    }
}
