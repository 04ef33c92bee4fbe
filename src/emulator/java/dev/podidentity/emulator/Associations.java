package dev.podidentity.emulator;

import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/** The associations of the cluster. Any thread. */
final class Associations {

    private final Map<ServiceAccount, Association> byServiceAccount = new ConcurrentHashMap<>();

    Associations(List<Association> initial) {
        initial.forEach(this::put);
    }

    void put(Association association) {
        byServiceAccount.put(new ServiceAccount(association.namespace(), association.serviceAccount()), association);
    }

    void remove(String namespace, String serviceAccount) {
        byServiceAccount.remove(new ServiceAccount(namespace, serviceAccount));
    }

    Association find(String namespace, String serviceAccount) throws Refusal {
        Association association = byServiceAccount.get(new ServiceAccount(namespace, serviceAccount));
        if (association == null) {
            throw new Refusal(EksAuthError.RESOURCE_NOT_FOUND, "No association found for the service account "
                    + serviceAccount + " in the namespace " + namespace);
        }
        return association;
    }

    private record ServiceAccount(String namespace, String name) {}
}
