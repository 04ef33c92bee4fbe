package dev.podidentity.agent;

import dev.podidentity.emulator.EksAuthEmulator;

/** Emulated EKS Auths with an association for the service account that the tests use. */
public final class Emulators {

    public static final String NAMESPACE = "default";
    public static final String SERVICE_ACCOUNT = "demo";

    private Emulators() {}

    public static EksAuthEmulator start() {
        EksAuthEmulator emulator = EksAuthEmulator.start();
        emulator.associate(NAMESPACE, SERVICE_ACCOUNT, "arn:aws:iam::123456789012:role/demo");
        return emulator;
    }

    /** Returns a new token for a pod of the associated service account. */
    public static String token(EksAuthEmulator emulator, String pod) {
        return emulator.tokens().mint(NAMESPACE, SERVICE_ACCOUNT, pod);
    }
}
