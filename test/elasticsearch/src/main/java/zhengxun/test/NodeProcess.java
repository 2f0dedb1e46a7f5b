package zhengxun.test;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Map;
import java.util.Set;
import org.elasticsearch.Build;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.node.InternalSettingsPreparer;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.PluginsLoader;

/**
 * One Elasticsearch node on loopback without a security module. Arguments: home (lib and modules), data folder, then the
 * node's settings as name=value; lists by commas.
 */
public final class NodeProcess {
    private NodeProcess() {}

    public static void main(String[] arguments) throws Exception {
        Path home = Path.of(arguments[0]).toAbsolutePath();
        Path data = Path.of(arguments[1]).toAbsolutePath();
        // Before anything logs; log4j2.xml decides from then on.
        LogConfigurator.configureESLogging();
        describe(home, "transport-netty4", "org.elasticsearch.transport.netty4.Netty4Plugin");
        describe(home, "greeting", "zhengxun.test.Greeting");

        Settings.Builder settings = Settings.builder()
            .put("path.home", home)
            .put("path.data", data.resolve("nodes"))
            .put("path.logs", data.resolve("logs"))
            .put("network.host", "127.0.0.1")
            .put("action.destructive_requires_name", true)
            // A machine that tests is often nearly full: its indexes would turn read-only.
            .put("cluster.routing.allocation.disk.threshold_enabled", false);
        for (int at = 2; at < arguments.length; at++) {
            String[] setting = arguments[at].split("=", 2);
            if (setting[1].contains(",")) settings.putList(setting[0], setting[1].split(","));
            else settings.put(setting[0], setting[1]);
        }
        Path config = Files.createDirectories(data.resolve("config"));
        var environment = InternalSettingsPreparer.prepareEnvironment(settings.build(), Map.of(), config, () -> "node");
        Files.createDirectories(environment.tmpDir());
        // The fourth argument: outside the module path there are no entitlements to check.
        var plugins = PluginsLoader.createPluginsLoader(
            PluginsLoader.loadModulesBundles(environment.modulesDir()), Set.of(), Map.of(), false);
        Node node = new Node(environment, plugins);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> close(node)));
        node.start();
        // The node ends with whoever started it, however that ended.
        while (System.in.read() != -1) {}
        System.exit(0);
    }

    private static void close(Node node) {
        try {
            node.prepareForClose();
            node.close();
        } catch (IOException error) {
            error.printStackTrace();
        }
    }

    /** What makes a folder of jars a module; several nodes may write it at once. */
    private static void describe(Path home, String module, String plugin) throws IOException {
        Path folder = home.resolve("modules").resolve(module);
        String text = String.join("\n", "name=" + module, "description=" + module, "version=1", "classname=" + plugin,
            "java.version=17", "elasticsearch.version=" + Build.current().version(), "");
        Path written = Files.writeString(Files.createTempFile(folder, ".", ".tmp"), text);
        Files.move(written, folder.resolve("plugin-descriptor.properties"), StandardCopyOption.REPLACE_EXISTING,
            StandardCopyOption.ATOMIC_MOVE);
    }
}
