# Evaluates every output of the flake to a derivation, with a stub for nixpkgs: packages
# are empty derivations. `lib` and `pyprojectNix` are the real sources where they are
# given as paths, and stubs of what the flake uses otherwise.
{
  root,
  lib ? null,
  pyprojectNix ? null,
}:
let
  flake = import (root + "/flake.nix");
  versions = builtins.fromJSON (builtins.readFile ./versions.json);

  usedLib =
    if lib != null then
      import lib
    else
      {
        inherit (builtins) attrValues mapAttrs;
        genAttrs =
          names: f:
          builtins.listToAttrs (
            map (name: {
              inherit name;
              value = f name;
            }) names
          );
        optional = condition: value: if condition then [ value ] else [ ];
        optionalString = condition: text: if condition then text else "";
        makeLibraryPath = packages: builtins.concatStringsSep ":" (map (p: "${p}/lib") packages);
      };

  usedPyproject =
    if pyprojectNix != null then
      import pyprojectNix { lib = usedLib; }
    else
      {
        lib.project.loadPyproject =
          { projectRoot }:
          let
            inherit (builtins.fromTOML (builtins.readFile (projectRoot + "/pyproject.toml")))
              project
              build-system
              ;
            nameOf = requirement: builtins.head (builtins.match "([A-Za-z0-9-]+).*" requirement);
          in
          {
            renderers.buildPythonPackage =
              { python }:
              {
                pname = project.name;
                inherit (project) version;
                src = projectRoot;
                pyproject = true;
                dependencies = map (each: python.pkgs.${nameOf each}) project.dependencies;
                build-system = map (each: python.pkgs.${nameOf each}) build-system.requires;
                disabled = false;
              };
          };
      };

  nixpkgsFor =
    system:
    let
      isDarwin = builtins.match ".*-darwin" system != null;
      machine = builtins.head (builtins.split "-" system);
      empty =
        name: attrs:
        derivation {
          inherit name system;
          builder = "/bin/sh";
          inputs = attrs;
        };
      emptyOf = names: usedLib.genAttrs names (name: empty name [ ]);
      # Like nixpkgs, forces everything that a build would need.
      buildPythonPackage =
        attrs:
        assert attrs.pyproject && !attrs.disabled;
        assert builtins.pathExists (attrs.src + "/pyproject.toml");
        empty "${attrs.pname}-${attrs.version}" (
          map toString (attrs.dependencies ++ attrs.build-system) ++ attrs.pythonImportsCheck
        );
      stdenv = {
        isLinux = !isDarwin;
        cc = {
          cc.lib = empty "libstdcxx" [ ];
          libc.linuxHeaders.version = "6.12";
        };
        targetPlatform = {
          inherit isDarwin;
          isLinux = !isDarwin;
          isFreeBSD = false;
          isAarch64 = machine == "aarch64";
          isx86_64 = machine == "x86_64";
          darwinArch = "arm64";
          darwinSdkVersion = "14.4";
          parsed.cpu.name = machine;
        };
      };
      python =
        {
          self,
          packageOverrides ? (_: _: { }),
        }:
        let
          base =
            emptyOf [
              "detect-secrets"
              "hypothesis"
              "poetry-core"
              "prometheus-client"
              "psutil"
              "pytest"
              "pytest-timeout"
              "rich"
            ]
            // builtins.mapAttrs (name: version: empty "${name}-${version}" [ ]) versions
            // {
              inherit buildPythonPackage;
              python = self;
            };
          pkgs = base // packageOverrides pkgs base;
        in
        empty "python3-3.13.7" [ ]
        // {
          inherit pkgs stdenv;
          pname = "python3";
          version = "3.13.7";
          passthru = {
            implementation = "cpython";
            pythonVersion = "3.13";
          };
          pythonVersion = "3.13";
          implementation = "cpython";
          override = python;
          withPackages = choose: empty "python-env" (map toString (choose self.pkgs));
        };
      python313 = python { self = python313; };
    in
    emptyOf [
      "chromium"
      "jq"
      "just"
      "mongosh"
      "nixfmt"
      "poetry"
      "ruff"
      "shellcheck"
      "sqlite"
      "zlib"
    ]
    // {
      inherit python313 stdenv;
      mkShell = attrs: empty "shell" (map toString attrs.packages ++ [ attrs.LD_LIBRARY_PATH ]);
      runCommand =
        name: attrs: command:
        empty name (map toString attrs.nativeBuildInputs ++ [ command ]);
    };

  outputs = flake.outputs {
    self = root;
    nixpkgs = {
      lib = usedLib;
      legacyPackages = usedLib.genAttrs [
        "x86_64-linux"
        "aarch64-linux"
        "aarch64-darwin"
      ] nixpkgsFor;
    };
    pyproject-nix = usedPyproject;
  };

  isDerivation = value: value.type or null == "derivation";
  drv =
    value:
    if isDerivation value then
      value.drvPath
    else if value.type or null == "app" then
      value.program
    else
      builtins.mapAttrs (_: drv) value;
in
builtins.mapAttrs (_: drv) outputs
