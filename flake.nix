{
  description = "cclake: the lake of your Claude Code conversations";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
    pyproject-nix = {
      url = "github:pyproject-nix/pyproject.nix";
      inputs.nixpkgs.follows = "nixpkgs";
    };
  };

  outputs =
    {
      self,
      nixpkgs,
      pyproject-nix,
    }:
    let
      inherit (nixpkgs) lib;
      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "aarch64-darwin"
      ];
      forAll = f: lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});

      # The light tools; what needs dbt or DuckDB's wheels runs from the dev shell.
      tools = [
        "tailer"
        "buffer"
        "flusher"
        "restore"
        "backup"
      ];

      # A tool as a Nix package: its metadata is read from its pyproject.toml,
      # its dependencies come from nixpkgs, which checks their versions.
      build =
        python: name:
        let
          project = pyproject-nix.lib.project.loadPyproject {
            projectRoot = ./tools + "/${name}";
          };
          attrs = project.renderers.buildPythonPackage { inherit python; };
        in
        python.pkgs.buildPythonPackage (attrs // { pythonImportsCheck = [ "cclake_${name}" ]; });

      pythonFor =
        pkgs:
        let
          python = pkgs.python313.override {
            self = python;
            packageOverrides = final: _: {
              cclake-archive = build final.python "archive";
              cclake-common = build final.python "common";
            };
          };
        in
        python;

      packagesFor = pkgs: lib.genAttrs tools (build (pythonFor pkgs));

      # Tests that need neither MongoDB nor the packages of the lake.
      lightTests = pkgs: [
        ((pythonFor pkgs).withPackages (
          all:
          [
            all.hypothesis
            all.psutil
            all.pytest
            all.pytest-timeout
          ]
          ++ lib.attrValues (packagesFor pkgs)
        ))
      ];

      check =
        pkgs: name: inputs: command:
        pkgs.runCommand "cclake-${name}" { nativeBuildInputs = inputs; } ''
          cp -r ${self} source
          chmod -R u+w source
          cd source
          export HOME=$TMPDIR
          ${command}
          touch $out
        '';
    in
    {
      packages = forAll packagesFor;

      apps = forAll (
        pkgs:
        lib.mapAttrs (name: package: {
          type = "app";
          program = "${package}/bin/${name}";
        }) (packagesFor pkgs)
      );

      checks = forAll (
        pkgs:
        packagesFor pkgs
        // {
          ruff = check pkgs "ruff" [ pkgs.ruff ] "ruff check . && ruff format --check .";
          tests = check pkgs "tests" (lightTests pkgs) "sh tests/nix/light-tests";
        }
      );

      devShells = forAll (pkgs: {
        default = pkgs.mkShell {
          packages = [
            pkgs.python313
            pkgs.poetry
            pkgs.just
            pkgs.sqlite
            pkgs.jq
            pkgs.shellcheck
            pkgs.mongosh
          ]
          ++ lib.optional pkgs.stdenv.isLinux pkgs.chromium;

          # Wheels from PyPI look for the C++ runtime.
          LD_LIBRARY_PATH = lib.optionalString pkgs.stdenv.isLinux (
            lib.makeLibraryPath [
              pkgs.stdenv.cc.cc.lib
              pkgs.zlib
            ]
          );
        };
      });

      formatter = forAll (pkgs: pkgs.nixfmt);
    };
}
